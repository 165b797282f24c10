"""Which label columns tell of groups of patients, and which tell patients apart."""

from __future__ import annotations

from collections.abc import Collection

from napari_dre_slcl.cohort.rows import Cohort

__all__ = ["shared_labels"]

_MOST_VALUES = 10


def shared_labels(cohort: Cohort, wanted: Collection[str] = ()) -> tuple[str, ...]:
    """Return the label columns that can be given away: few values, none the mark of one patient.

    Parameters
    ----------
    cohort : Cohort
        The table.
    wanted : collection of str
        Columns that are learned or asked for; they are kept.
    """
    kept = []
    for column in cohort.label_columns:
        whose: dict[str, set[str]] = {}
        for row in cohort.rows:
            if row.labels[column]:
                whose.setdefault(row.labels[column], set()).add(row.patient_id)
        is_shared = any(len(patients) > 1 for patients in whose.values())
        if column in wanted or (len(whose) <= _MOST_VALUES and is_shared):
            kept.append(column)
    return tuple(kept)
