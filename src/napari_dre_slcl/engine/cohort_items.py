"""The slides of a cohort table as work: where each is, and where what is made of it goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.engine.slide_work import SlideItem
from napari_dre_slcl.errors import CohortError

__all__ = ["items_of_table"]

_SHOWN = 3


def items_of_table(
    table: Path, output: Callable[[str], Path], mpp: float | None
) -> list[SlideItem]:
    """Return the slides of a cohort table; their files need not be seen from this machine.

    Where the table names feature files and no slides, these are the slides.

    Parameters
    ----------
    table : Path
        Cohort table.
    output : callable
        Gives the file that is made of a slide, by its slide_id.
    mpp : float, optional
        Pixel size that wins over what the table says.

    Raises
    ------
    CohortError
        If the table cannot be used, or names no file for a row.
    """
    cohort = read_cohort(table, needs_slides=False)
    items = []
    nameless = []
    for row in cohort.rows:
        path = row.features if cohort.is_from_features else row.path
        if path is None:
            nameless.append(row.slide_id)
            continue
        size, source = (row.mpp, "cohort table") if mpp is None else (mpp, "user")
        items.append(SlideItem(row.slide_id, path, output(row.slide_id).absolute(), size, source))
    if nameless:
        shown = ", ".join(f"'{name}'" for name in nameless[:_SHOWN])
        raise CohortError(
            f"'{table}' names no slide file for {len(nameless):,} of {len(cohort):,} slides, the "
            f"first are {shown}. Fill in the column 'slide'."
        )
    return items
