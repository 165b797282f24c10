"""The cells of an evaluation: which fold and which seed, and who is on which side there."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.folds import Fold, patient_folds
from napari_dre_slcl.cohort.select import select_rows
from napari_dre_slcl.cohort.site_folds import site_folds
from napari_dre_slcl.cohort.split_files import read_split_folder
from napari_dre_slcl.cohort.tasks import guess_task_columns
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.evaluation_request import DRAWN_FOLDS, EvaluationRequest
from napari_dre_slcl.engine.left_out_slides import LeftOut, check_sides, keep_rows
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.untrusted import defuse, restore

__all__ = ["Cell", "cells_of", "split_sha256", "test_sha256", "usable_part"]

_SEED = "-seed"


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One training and its test.

    Parameters
    ----------
    fold : str
        Name of the fold.
    seed : int
        Of the training, and of the draw where folds are drawn.
    split : ndarray
        (n,) over all rows of the cohort table: train, val, test, or empty for those left out.
    left_out : dict of LeftOut
        Slides of the cell that cannot be used, and are in no row.
    """

    fold: str
    seed: int
    split: NDArray[np.str_]
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.fold}{_SEED}{self.seed}"


def cells_of(
    request: EvaluationRequest, cohort: Cohort, config: DreSlclConfig, kept: Path
) -> tuple[Cell, ...]:
    """Return the cells of an evaluation, all folds of the first seed first.

    Drawn folds are drawn anew for each seed, so that the spread holds what the draw does. Folds
    of files are the same for each seed. What was drawn is kept in a table with one column per
    cell, which ``--folds`` takes as well, so that going on does not depend on a draw.

    Parameters
    ----------
    request : EvaluationRequest
        Kind of folds, seeds, and the part of the cohort that is looked at.
    cohort : Cohort
        The whole table.
    config : DreSlclConfig
        Settings of the first cell; its seed is the first one.
    kept : Path
        The table; read where it is there, and written.

    Raises
    ------
    CohortError
        If the folds cannot be made.
    JobError
        If the table is damaged or of other slides.
    """
    first = config.training.seed
    seeds = range(first, first + request.seeds)
    found = _read(kept, cohort) if kept.is_file() else {}
    missing = [seed for seed in seeds if seed not in found]
    if missing:
        found |= _draw(request, cohort, config, missing)
        write_text(kept, _table(cohort, [cell for cells in found.values() for cell in cells]))
    return tuple(cell for seed in seeds for cell in found[seed])


def usable_part(cell: Cell, whole: Cohort, left_out: Mapping[str, LeftOut]) -> Cell:
    """Return a cell over the rows of the slides that can be used.

    Parameters
    ----------
    cell : Cell
        Over all rows of the table.
    whole : Cohort
        The table.
    left_out : mapping of LeftOut
        What cannot be used, by slide_id.

    Raises
    ------
    CohortError
        If a side of the cell loses all of its slides.
    """
    gone = {slide_id: one.reason for slide_id, one in left_out.items()}
    _, split, lacking = keep_rows(whole, cell.split, gone)
    check_sides(whole.table, split, lacking)
    own = {slide_id: one for slide_id, one in lacking.items() if one.side}
    return replace(cell, split=split, left_out=own)


def split_sha256(cohort: Cohort, cell: Cell) -> str:
    """Return a hash of who is on which side."""
    ids = [row.slide_id for row in cohort.rows]
    return _sha256(f"{i},{side}" for i, side in zip(ids, cell.split, strict=True) if side)


def test_sha256(cohort: Cohort, cell: Cell) -> str:
    """Return a hash of who is tested: two methods are compared on equal ones only."""
    ids = [row.slide_id for row in cohort.rows]
    return _sha256(sorted(i for i, side in zip(ids, cell.split, strict=True) if side == "test"))


def _draw(
    request: EvaluationRequest, cohort: Cohort, config: DreSlclConfig, seeds: Sequence[int]
) -> dict[int, list[Cell]]:
    part = select_rows(cohort, request.within) if request.within else cohort
    columns = config.cohort.tasks or guess_task_columns(part)
    kept = {row.slide_id for row in part.rows}
    rows = np.array([row.slide_id in kept for row in cohort.rows], dtype=np.bool_)
    n_folds, validation = request.n_folds, request.validation
    if request.folds in DRAWN_FOLDS:
        draw = patient_folds if request.folds == "patient" else site_folds
        return {
            seed: [
                Cell(fold.name, seed, _widened(fold, rows))
                for fold in draw(part, columns, n_folds, seed, validation)
            ]
            for seed in seeds
        }
    # A file names slides outside the part as well.
    first = config.training.seed
    whole = read_split_folder(cohort, Path(request.folds), validation, first, columns)
    return {
        seed: [Cell(fold.name, seed, np.where(rows, fold.split, "")) for fold in whole]
        for seed in seeds
    }


def _widened(fold: Fold, rows: NDArray[np.bool_]) -> NDArray[np.str_]:
    """Return the split over all rows of the table, empty outside the part."""
    split = np.full(len(rows), "", dtype="<U5")
    split[rows] = fold.split
    return split


def _table(cohort: Cohort, cells: Sequence[Cell]) -> str:
    frame = pd.DataFrame({"slide_id": [defuse(row.slide_id) for row in cohort.rows]})
    columns = pd.DataFrame({defuse(cell.name): cell.split for cell in cells})
    text = io.StringIO()
    pd.concat([frame, columns], axis=1).to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()


def _read(path: Path, cohort: Cohort) -> dict[int, list[Cell]]:
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise JobError(f"The splits '{path}' cannot be read: {error}.") from error
    names = [str(column) for column in frame.columns if _SEED in str(column)]
    named = [restore(name) for name in frame.get("slide_id", pd.Series(dtype=str))]
    if named != [r.slide_id for r in cohort.rows]:
        raise JobError(f"The splits '{path}' are of other slides. Choose another --out.")
    found: dict[int, list[Cell]] = {}
    for name in names:
        fold, _, seed = restore(name).rpartition(_SEED)
        if not seed.isdecimal():
            raise JobError(
                f"The splits '{path}' have a column '{name}', whose seed '{seed}' is no number. "
                f"Name it FOLD{_SEED}NUMBER, or delete the file to draw the folds again."
            )
        cell = Cell(fold, int(seed), frame[name].to_numpy(dtype="<U5"))
        found.setdefault(cell.seed, []).append(cell)
    return found


def _sha256(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
