"""Slides that take no part in a training from its start: dropped, remembered by side, told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import SPLITS, Cohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.jobs.messages import Event, Log, Progress

__all__ = [
    "LeftOut",
    "check_sides",
    "count_by_side",
    "keep_rows",
    "said_once",
    "sides_text",
    "tell_left_out",
]

_CALLED = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why a slide takes no part, and where it would have been.

    Parameters
    ----------
    reason : str
        What is wrong with it, as a sentence.
    side : str
        train, val or test; empty where that is not known.
    """

    reason: str
    side: str = ""


def keep_rows(
    cohort: Cohort, split: NDArray[np.str_], gone: Mapping[str, str]
) -> tuple[Cohort, NDArray[np.str_], dict[str, LeftOut]]:
    """Return a cohort and its split without some slides, and these with their sides.

    The split was drawn before, so that a slide that is mended later changes nobody's side.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    split : ndarray
        (n,) train, val, test, or empty.
    gone : mapping of str
        Why slides take no part, by slide_id.
    """
    is_kept = np.array([row.slide_id not in gone for row in cohort.rows], dtype=np.bool_)
    left_out = {
        row.slide_id: LeftOut(gone[row.slide_id], str(side))
        for row, side in zip(cohort.rows, split, strict=True)
        if row.slide_id in gone
    }
    rows = tuple(row for row in cohort.rows if row.slide_id not in gone)
    return (
        Cohort(cohort.table, rows, cohort.label_columns, cohort.warnings),
        split[is_kept],
        left_out,
    )


def check_sides(table: Path, split: NDArray[np.str_], left_out: Mapping[str, LeftOut]) -> None:
    """Refuse a split of which a side has lost all of its slides.

    Parameters
    ----------
    table : Path
        The cohort table.
    split : ndarray
        (n,) of the slides that are left.
    left_out : mapping of LeftOut
        The others.

    Raises
    ------
    CohortError
        Names the side and the first reason.
    """
    for side, n_lost in count_by_side(left_out).items():
        if n_lost and side not in split:
            reason = next(one.reason for one in left_out.values() if one.side == side)
            raise CohortError(
                f"None of the {n_lost:,} {_CALLED[side]} slides of '{table}' can be used. {reason} "
                "Mend the slides, or choose others for this side in the column 'split'."
            )


def count_by_side(left_out: Mapping[str, LeftOut]) -> dict[str, int]:
    """Return how many slides each side lacks."""
    return {side: sum(one.side == side for one in left_out.values()) for side in SPLITS}


def sides_text(left_out: Mapping[str, LeftOut]) -> str:
    """Return how many slides each side lacks as text: ``3 of training, 1 of test``."""
    counts = count_by_side(left_out).items()
    return ", ".join(f"{count:,} of {_CALLED[side]}" for side, count in counts if count)


def tell_left_out(
    left_out: Mapping[str, LeftOut], total: int, why: str, reporter: Reporter
) -> None:
    """Say how many slides take no part, and why each.

    Parameters
    ----------
    left_out : mapping of LeftOut
        By slide_id.
    total : int
        Slides of the table.
    why : str
        What is wrong with them, as the second half of a sentence.
    reporter : Reporter
        Told as warnings.
    """
    if not left_out:
        return
    sides = sides_text(left_out)
    of_sides = f" ({sides})" if sides else ""
    reporter.log(f"{len(left_out):,} of {total:,} slides take no part{of_sides}: {why}", "warning")
    for slide_id, one in left_out.items():
        reporter.log(f"Left out {slide_id}: {one.reason}", "warning")


def said_once(reporter: Reporter) -> Reporter:
    """Return a reporter that passes everything on, but each sentence once.

    For work that is done again without some slides: what has not changed is not told again.
    """
    said: set[str] = set()

    def pass_on(event: Event) -> None:
        if isinstance(event, Progress):
            reporter.progress(event.stage, event.done, event.total, event.message)
        elif isinstance(event, Log) and event.message not in said:
            said.add(event.message)
            reporter.log(event.message, event.level)

    return Reporter(pass_on, lambda: False)
