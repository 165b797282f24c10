"""Part of a cohort: the slides whose column says a value, such as one subtype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.errors import CohortError

__all__ = ["select_rows"]

_SHOWN_VALUES = 8


def select_rows(cohort: Cohort, where: Mapping[str, str]) -> Cohort:
    """Return the slides for which every named column has the given value.

    Parameters
    ----------
    cohort : Cohort
        All slides.
    where : mapping of str to str
        Label columns or ``site``, each with the value to keep, such as ``{"subtype": "LUAD"}``;
        empty keeps all.

    Raises
    ------
    CohortError
        If a column or a value is unknown, or no slide has all the values.
    """
    chosen = np.ones(len(cohort), dtype=np.bool_)
    for column, value in where.items():
        values = _values(cohort, column)
        if value not in values:
            raise CohortError(_unknown_value(cohort, column, value, values))
        chosen &= values == value
    if not chosen.any():
        wanted = " and ".join(f"{column}={value}" for column, value in where.items())
        raise CohortError(f"No slide of '{cohort.table}' has {wanted}. Ask for less at once.")
    return replace(cohort, rows=tuple(cohort.rows[row] for row in np.flatnonzero(chosen)))


def _values(cohort: Cohort, column: str) -> NDArray[np.str_]:
    if column == "site":
        return cohort.sites()
    if column in cohort.label_columns:
        return cohort.labels(column)
    known = ", ".join(f"'{name}'" for name in (*cohort.label_columns, "site"))
    raise CohortError(
        f"The cohort table '{cohort.table}' has no column '{column}' to choose slides by. "
        f"Choose among {known}."
    )


def _unknown_value(cohort: Cohort, column: str, value: str, values: NDArray[np.str_]) -> str:
    counts = Counter(str(found) for found in values if found).most_common()
    shown = ", ".join(f"'{name}' ({count})" for name, count in counts[:_SHOWN_VALUES])
    rest = len(counts) - _SHOWN_VALUES
    more = f" and {rest} more" if rest > 0 else ""
    return (
        f"No slide of '{cohort.table}' has '{value}' in the column '{column}'. "
        f"Its values are {shown or 'all empty'}{more}."
    )
