"""The built-in cohort: generated H&E slides with patients, labels, reports and truth."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.atomic_file import atomic_folder, write_text
from napari_dre_slcl.cohort.synthetic_nuclei import MutationCue
from napari_dre_slcl.cohort.synthetic_plan import SlidePlan, plan_cohort
from napari_dre_slcl.cohort.synthetic_reports import write_report
from napari_dre_slcl.cohort.synthetic_slide import TILE_PX, GridCell, paint_slide, write_pyramid
from napari_dre_slcl.errors import CohortError

__all__ = ["generate_cohort"]

_LEAST_SLIDES, _LEAST_SIDE_PX = 6, 1024
_WORKERS = 2
_COLUMNS = (
    "slide_id",
    "slide",
    "patient_id",
    "site",
    "split",
    "subtype",
    "cancer",
    "TP53",
    "report",
)


def generate_cohort(
    out: Path,
    n_slides: int = 24,
    seed: int = 0,
    side_px: int = 4096,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    cue_share: float = 1.0,
    cue_strength: float = 1.0,
) -> Path:
    """Generate a cohort of H&E-like lung slides with everything that is known of them.

    LUAD slides hold glands, LUSC slides solid nests, normal slides alveoli and stroma only. TP53
    shows in the tumour nuclei alone: mutated ones are larger, darker, more varied and have a
    bright nucleolus. Sites A, B and C stain differently and tell no label.

    Parameters
    ----------
    out : Path
        Folder to make; it must be absent or empty. Holds ``cohort.csv``, ``tumour_tiles.csv``
        (the grid cells of 256 level-0 pixels that are tissue, and whether tumour) and ``slides``.
    n_slides : int
        At least 6.
    seed : int
        At least 0; the same seed gives the same cohort.
    side_px : int
        Edge of a slide in level-0 pixels of 0.5 µm, a multiple of 256, at least 1024.
    on_progress : callable, optional
        Called with (slides done, slides in all) after each slide, in the caller's thread.
    cue_share : float, default 1.0
        Share of the glands and nests that show TP53 in mutated slides, above 0, at most 1: a
        rarer cue is harder to learn.
    cue_strength : float, default 1.0
        How far mutated nuclei are from the wild type, above 0, at most 1: lower is fainter.

    Returns
    -------
    Path
        The cohort table, ``out / "cohort.csv"``.

    Raises
    ------
    CohortError
        If a number is out of range, or ``out`` exists and is not empty.
    """
    out = Path(out)
    _check(out, n_slides, seed, side_px)
    _check_cue(cue_share, cue_strength)
    plans = plan_cohort(n_slides, seed, MutationCue(cue_share, cue_strength))
    with atomic_folder(out) as aside:
        _fill(aside, plans, seed, side_px, on_progress)
    return out / "cohort.csv"


def _check(out: Path, n_slides: int, seed: int, side_px: int) -> None:
    if n_slides < _LEAST_SLIDES:
        raise CohortError(
            f"A generated cohort needs at least {_LEAST_SLIDES} slides, {n_slides} were asked for."
        )
    if seed < 0:
        raise CohortError(f"The seed of a generated cohort must be 0 or more, it is {seed}.")
    if side_px < _LEAST_SIDE_PX or side_px % TILE_PX:
        raise CohortError(
            f"The side of generated slides must be a multiple of {TILE_PX} px and at least "
            f"{_LEAST_SIDE_PX} px, it is {side_px} px."
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CohortError(
            f"'{out}' exists and is not an empty folder. Give another folder for the generated "
            "cohort, or delete this one."
        )


def _check_cue(share: float, strength: float) -> None:
    for name, value in (("share", share), ("strength", strength)):
        if not 0 < value <= 1:
            raise CohortError(
                f"The {name} of the mutation's cue must be above 0 and at most 1, it is {value}."
            )


def _fill(
    folder: Path,
    plans: Sequence[SlidePlan],
    seed: int,
    side_px: int,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    (folder / "slides").mkdir()
    cells: dict[int, list[GridCell]] = {}
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="synth") as pool:
        futures = {
            pool.submit(_make_slide, folder, plan, seed, index, side_px): index
            for index, plan in enumerate(plans)
        }
        try:
            for future in as_completed(futures):
                cells[futures[future]] = future.result()
                if on_progress is not None:
                    on_progress(len(cells), len(plans))
        finally:
            pool.shutdown(cancel_futures=True)
    rows = [_row(plan, seed, index) for index, plan in enumerate(plans)]
    _write_csv(folder / "cohort.csv", _COLUMNS, rows)
    truth = [
        (plan.slide_id, cell.row, cell.column, int(cell.is_tumour))
        for index, plan in enumerate(plans)
        for cell in cells[index]
    ]
    _write_csv(folder / "tumour_tiles.csv", ("slide_id", "row", "col", "is_tumour"), truth)


def _make_slide(
    folder: Path, plan: SlidePlan, seed: int, index: int, side_px: int
) -> list[GridCell]:
    picture, cells = paint_slide(plan, seed, index, side_px)
    write_pyramid(folder / _file_name(plan), picture)
    return cells


def _file_name(plan: SlidePlan) -> str:
    return f"slides/{plan.slide_id}.tif"


def _row(plan: SlidePlan, seed: int, index: int) -> tuple[Any, ...]:
    report = write_report(np.random.default_rng([seed, 3, index]), plan)
    return (
        plan.slide_id,
        _file_name(plan),
        plan.patient_id,
        plan.site,
        plan.split,
        plan.subtype,
        "cancer" if plan.subtype else "normal",
        int(plan.is_mutated) if plan.has_mutation_label else "",
        report,
    )


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
