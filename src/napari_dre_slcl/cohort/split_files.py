"""Splits that others have published, read from their files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.folds import Fold, check_fold_settings, with_validation
from napari_dre_slcl.cohort.split_table import read_splits
from napari_dre_slcl.errors import CohortError

__all__ = ["read_split_folder"]

_SUFFIXES = (".csv", ".tsv", ".txt")
# CLAM writes these beside each split: the same once more, and how many slides it has.
_BESIDE = ("_bool", "_descriptor")
_SHOWN = 5
_NOT_IN_NAMES = frozenset('/\\:*?"<>|')


def read_split_folder(
    cohort: Cohort,
    folder: Path,
    val_fraction: float,
    seed: int,
    columns: Sequence[str] = (),
) -> tuple[Fold, ...]:
    """Read published splits.

    Three kinds of file are known: ``slide_id,role`` with train, val or test; lists of slides under
    the headings ``train``, ``val``, ``test``, as CLAM writes them; and a table with ``slide_id``
    and a column of roles for each fold. Slides may be given by patient, and slide names with the
    ending of their file.

    Parameters
    ----------
    cohort : Cohort
        The slides; those that a file does not name are left out of its fold.
    folder : Path
        Folder of split files, read in the order of the numbers in their names; or one file.
    val_fraction : float
        Share of the training patients that validate, where a file names no validation slides.
    seed : int
        Of that draw.
    columns : sequence of str, optional
        Label columns over which it is stratified.

    Raises
    ------
    CohortError
        If there are no split files, or one of them cannot be used; names the file.
    ConfigError
        If ``val_fraction`` is out of range.
    """
    check_fold_settings(2, val_fraction)
    find = _finder(cohort)
    folds: list[Fold] = []
    for path in _files(folder):
        for name, given in read_splits(path):
            split = _split(cohort, path, name, given, find)
            if val_fraction and "val" not in split:
                generator = np.random.default_rng([seed, len(folds)])
                split = with_validation(cohort, split, columns, val_fraction, generator)
            folds.append(Fold(name, split))
    _check_names(folder, [fold.name for fold in folds])
    return tuple(folds)


def _check_names(folder: Path, names: Sequence[str]) -> None:
    """Refuse names of splits that cannot be those of folders, side by side on any disk."""
    unfit = [name for name in names if name.startswith(".") or set(name) & _NOT_IN_NAMES]
    if unfit:
        raise CohortError(
            f"The splits {_quoted(unfit)} of '{folder}' cannot give folders their names. Rename "
            "these files or columns with letters, numbers, '-' and '_'."
        )
    plain = [name.casefold() for name in names]
    twice = sorted({name for name in names if plain.count(name.casefold()) > 1})
    if twice:
        raise CohortError(
            f"Two splits in '{folder}' are called {_quoted(twice)}. Rename a file or a column."
        )


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise CohortError(
            f"The folder of split files '{folder}' does not exist. Give such a folder, or "
            "'patient' or 'site' to draw folds."
        )
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    stems = {path.stem for path in found}
    found = [
        path
        for path in found
        if not any(
            path.stem.endswith(end) and path.stem.removesuffix(end) in stems for end in _BESIDE
        )
    ]
    if not found:
        raise CohortError(
            f"The folder '{folder}' holds no split files. It needs CSV files with the columns "
            "slide_id,role or train,val,test."
        )
    return sorted(found, key=_by_numbers)


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    """Sort split_2 before split_10."""
    parts = re.findall(r"\d+|\D+", path.stem)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _finder(cohort: Cohort) -> Callable[[str], list[int]]:
    """Return a function from a name to rows: of a slide, of its file, or of a patient."""
    by_slide: dict[str, list[int]] = {}
    by_patient: dict[str, list[int]] = {}
    for number, row in enumerate(cohort.rows):
        by_slide[row.slide_id] = [number]
        by_patient.setdefault(row.patient_id, []).append(number)
    for number, row in enumerate(cohort.rows):
        if row.path is not None:
            by_slide.setdefault(row.path.name, [number])
            by_slide.setdefault(row.path.stem, [number])

    def find(name: str) -> list[int]:
        stem = name.rpartition(".")[0]
        return by_slide.get(name) or by_patient.get(name) or by_slide.get(stem) or []

    return find


def _split(
    cohort: Cohort,
    path: Path,
    name: str,
    given: list[tuple[str, str]],
    find: Callable[[str], list[int]],
) -> NDArray[np.str_]:
    split = np.full(len(cohort), "", dtype="<U5")
    unknown: list[str] = []
    torn: list[str] = []
    for slide, side in given:
        rows = find(slide)
        if not rows:
            unknown.append(slide)
        for row in rows:
            if side and split[row] and split[row] != side:
                torn.append(cohort.rows[row].slide_id)
            split[row] = side or split[row]
    if unknown:
        raise CohortError(
            f"The split file '{path}' names {len(unknown):,} slides of {len(given):,} that the "
            f"cohort table '{cohort.table}' does not have: {_quoted(unknown)}. Add them to the "
            "table, or take them out of the file."
        )
    if torn:
        raise CohortError(
            f"The split '{name}' of '{path}' has {len(torn):,} slides on two sides: "
            f"{_quoted(torn)}. Leave each on one."
        )
    missing = [side for side in ("train", "test") if side not in split]
    if missing:
        raise CohortError(
            f"The split '{name}' of '{path}' has no {' and no '.join(missing)} slides. Name some."
        )
    return split


def _quoted(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + (f" and {rest:,} more" * (rest > 0))
