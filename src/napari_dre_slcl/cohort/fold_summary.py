"""What folds come to: how many slides and patients each has, and how even their labels are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.folds import Fold

__all__ = ["FoldSummary", "fold_of_rows", "summarise_folds"]


@dataclass(frozen=True, slots=True)
class FoldSummary:
    """One fold.

    Parameters
    ----------
    name : str
        Of the fold.
    n_train, n_val, n_test : int
        Slides on each side.
    n_test_patients : int
        Patients who are tested.
    test_shares : mapping of mapping of float
        Share of each value among the labelled test slides, by label column.
    """

    name: str
    n_train: int
    n_val: int
    n_test: int
    n_test_patients: int
    test_shares: Mapping[str, Mapping[str, float]]


def summarise_folds(
    cohort: Cohort, folds: Sequence[Fold], columns: Sequence[str]
) -> tuple[FoldSummary, ...]:
    """Count what is on each side of each fold.

    Parameters
    ----------
    cohort : Cohort
        The slides that the folds are of.
    folds : sequence of Fold
        The folds.
    columns : sequence of str
        Label columns to look at.
    """
    patients = cohort.patients()
    found = []
    for fold in folds:
        is_test = fold.split == "test"
        shares = {}
        for column in columns:
            counts = Counter(str(label) for label in cohort.labels(column)[is_test] if label)
            total = sum(counts.values()) or 1
            shares[column] = {label: n / total for label, n in sorted(counts.items())}
        n_train, n_val, n_test = (int((fold.split == s).sum()) for s in ("train", "val", "test"))
        n_patients = len(np.unique(patients[is_test]))
        found.append(FoldSummary(fold.name, n_train, n_val, n_test, n_patients, shares))
    return tuple(found)


def fold_of_rows(cohort: Cohort, folds: Sequence[Fold]) -> dict[int, str]:
    """Return in which fold each row of the table is tested, counted from 1, by row number."""
    return {
        row.number: str(number)
        for number, fold in enumerate(folds, start=1)
        for row, side in zip(cohort.rows, fold.split, strict=True)
        if side == "test"
    }
