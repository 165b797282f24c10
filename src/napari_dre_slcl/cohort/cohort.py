"""The cohort table: which slides there are, whose they are, and what is known of them.

Knows files and tables; opens no slide.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_dre_slcl.cohort.check_cohort import check_cohort
from napari_dre_slcl.cohort.problems import CohortTableError
from napari_dre_slcl.cohort.rows import ROLE_COLUMNS, SPLITS, Cohort, SlideRow

__all__ = ["ROLE_COLUMNS", "SPLITS", "Cohort", "SlideRow", "read_cohort"]


def read_cohort(
    table: str | Path,
    needs_slides: bool = True,
    may_lack: Callable[[int], int] = lambda n_slides: 0,
) -> Cohort:
    """Read and check a cohort table.

    Parameters
    ----------
    table : str or Path
        CSV, TSV, semicolon, Excel (.xlsx) or Parquet file with the columns ``slide`` or
        ``features`` (path, relative to the table) and ``patient_id``; optional ``slide_id``,
        ``site``, ``report``, ``mpp``, ``split`` (train, val, test); any further column is a
        label. ``NA``, ``N/A``, ``NaN`` and ``null`` count as empty.
    needs_slides : bool, default True
        False where feature files of another folder stand for the slides: ``slide`` may then be
        empty or absent, as long as there is a ``slide_id``, and its file may be missing.
    may_lack : callable, optional
        Of how many slides, of so many, the file may be missing all the same; whoever opens them
        leaves these out.

    Returns
    -------
    Cohort
        With `Cohort.warnings` for what should be looked at.

    Raises
    ------
    CohortError
        If the table cannot be used. A table that can be read is a `CohortTableError`, whose
        ``problems`` name all that is wrong with the rows.

    Examples
    --------
    >>> from napari_dre_slcl import read_cohort
    >>> lines = ["slide,patient_id,site,subtype", "slide.tif,P1,Oslo,LUAD"]
    >>> with open("cohort.csv", "w") as table:
    ...     print(*lines, sep=chr(10), file=table)
    >>> cohort = read_cohort("cohort.csv")
    >>> len(cohort), cohort.label_columns, cohort.rows[0].labels
    (1, ('subtype',), {'subtype': 'LUAD'})
    """
    table = Path(table)
    check = check_cohort(table, needs_slides)
    absent = [problem for problem in check.problems if problem.is_absent]
    n_absent = sum(len(problem.rows) for problem in absent)
    if len(absent) < len(check.problems) or n_absent > may_lack(len(check.cohort)):
        raise CohortTableError(table, check.problems)
    return check.cohort
