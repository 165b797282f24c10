"""Who trains and who is held out: always whole patients, spread evenly over the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.errors import CohortError

__all__ = ["assign_splits"]


def assign_splits(
    cohort: Cohort,
    columns: Sequence[str],
    test_fraction: float,
    seed: int,
    val_fraction: float = 0.0,
) -> NDArray[np.str_]:
    """Return the split of each slide.

    Parameters
    ----------
    cohort : Cohort
        The slides. Where the table's ``split`` column is filled, it decides.
    columns : sequence of str
        Label columns over which the draw is stratified.
    test_fraction : float
        Share of patients to hold out.
    seed : int
        Of the draw.
    val_fraction : float
        Share of the other patients that validate.

    Returns
    -------
    ndarray
        (n,) ``train``, ``val`` or ``test``.

    Raises
    ------
    CohortError
        If the column is filled in part, or no patient is left on one side.
    """
    given = np.array([row.split for row in cohort.rows], dtype="<U5")
    if np.any(given != ""):
        _check_given(cohort, given)
        return given
    patients = cohort.patients()
    ordered = _stratified_order(cohort, columns, np.random.default_rng(seed))
    test = _one_in_each(ordered, test_fraction)
    val = _one_in_each([patient for patient in ordered if patient not in test], val_fraction)
    split = np.array([_side(patient, test, val) for patient in patients], dtype="<U5")
    wanted = 3 if val_fraction else 2
    if len(set(split)) < wanted:
        raise CohortError(
            f"The cohort table '{cohort.table}' has {len(ordered)} patients, too few to hold some "
            f"out{' for validation and test' if val_fraction else ''}. Add patients or fill the "
            "column 'split'."
        )
    return split


def _one_in_each(ordered: Sequence[str], fraction: float) -> set[str]:
    """Draw by systematic sampling: one patient out of each 1/fraction along the order."""
    position = np.floor((np.arange(len(ordered)) + 0.5) * fraction + 0.5)
    is_drawn = np.diff(position, append=np.floor(len(ordered) * fraction + 0.5)) > 0
    return {patient for patient, drawn in zip(ordered, is_drawn, strict=True) if drawn}


def _side(patient: str, test: set[str], val: set[str]) -> str:
    if patient in test:
        return "test"
    return "val" if patient in val else "train"


def _check_given(cohort: Cohort, given: NDArray[np.str_]) -> None:
    empty = np.flatnonzero(given == "")
    if len(empty):
        row = cohort.rows[empty[0]].number
        raise CohortError(
            f"The column 'split' of '{cohort.table}' is empty in row {row}. "
            "Write train, val or test there, or empty the whole column."
        )
    if "train" not in given:
        raise CohortError(
            f"The column 'split' of '{cohort.table}' has no training slide. "
            "Write train in some rows."
        )


def _stratified_order(
    cohort: Cohort, columns: Sequence[str], generator: np.random.Generator
) -> list[str]:
    """Return the patients sorted by their labels, in random order among equals."""
    key: dict[str, tuple[str, ...]] = {}
    for row in cohort.rows:
        key.setdefault(row.patient_id, tuple(row.labels[column] for column in columns))
    names = sorted(key)
    rank = generator.permutation(len(names))
    order = sorted(range(len(names)), key=lambda index: (key[names[index]], rank[index]))
    return [names[index] for index in order]
