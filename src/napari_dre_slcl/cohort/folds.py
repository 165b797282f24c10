"""Folds: which slides train, validate and test; always whole patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.balance import count_classes, deal_groups
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.errors import CohortError, ConfigError

__all__ = [
    "Fold",
    "check_fold_settings",
    "check_learnable",
    "inner_folds",
    "patient_folds",
    "with_validation",
]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One way to part a cohort.

    Parameters
    ----------
    name : str
        Short, fit for a file name; its own among the folds of a set.
    split : ndarray
        (n,) ``train``, ``val``, ``test``, or empty for slides that are left out.
    """

    name: str
    split: NDArray[np.str_]

    def of(self, chosen: NDArray[np.bool_]) -> Fold:
        """Return the fold of some slides.

        Parameters
        ----------
        chosen : ndarray
            (n,) True for slides that stay.
        """
        return Fold(self.name, self.split[chosen])


def patient_folds(
    cohort: Cohort, columns: Sequence[str], n_folds: int, seed: int, val_fraction: float = 0.0
) -> tuple[Fold, ...]:
    """Make folds by patient, stratified over several label columns at once.

    Each slide is tested in exactly one fold.

    Parameters
    ----------
    cohort : Cohort
        The slides; a ``split`` column is passed over.
    columns : sequence of str
        Label columns whose classes are spread evenly; labels may be missing.
    n_folds : int
        2 or more.
    seed : int
        Of the draw.
    val_fraction : float
        Share of the training patients that validate; 0 for none.

    Raises
    ------
    CohortError
        If there are too few patients, or a training part shows fewer than two classes of a column.
    ConfigError
        If ``n_folds`` or ``val_fraction`` is out of range.
    """
    check_fold_settings(n_folds, val_fraction)
    everybody = np.ones(len(cohort), dtype=bool)
    return _patient_folds(cohort, columns, n_folds, seed, val_fraction, everybody, "patient")


def inner_folds(
    cohort: Cohort,
    fold: Fold,
    columns: Sequence[str],
    n_folds: int,
    seed: int,
    val_fraction: float = 0.0,
) -> tuple[Fold, ...]:
    """Make folds by patient inside the training part of a fold, for nested validation.

    What is chosen by the inner folds has seen no test slide: these are left out of them, and so
    are training slides of a patient who is tested, as published splits have them.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    fold : Fold
        Its training and validation slides together are parted anew; each is ``test`` in one inner
        fold.
    columns, n_folds, seed, val_fraction
        As for `patient_folds`.

    Raises
    ------
    CohortError, ConfigError
        As `patient_folds`.
    """
    check_fold_settings(n_folds, val_fraction)
    patients = cohort.patients()
    tested = np.unique(patients[fold.split == "test"])
    chosen = np.isin(fold.split, ["train", "val"]) & ~np.isin(patients, tested)
    name = f"{fold.name}-inner"
    return _patient_folds(cohort, columns, n_folds, seed, val_fraction, chosen, name)


def with_validation(
    cohort: Cohort,
    split: NDArray[np.str_],
    columns: Sequence[str],
    fraction: float,
    generator: np.random.Generator,
) -> NDArray[np.str_]:
    """Move a share of the training patients to validation.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    split : ndarray
        (n,) as in `Fold`; left as it is.
    columns : sequence of str
        Label columns over which the draw is stratified.
    fraction : float
        Share of the training patients; 0 moves nobody.
    generator : Generator
        Of the draw.

    Raises
    ------
    CohortError
        If there is one training patient only.
    """
    if not fraction:
        return split
    patients = cohort.patients()
    names = np.unique(patients[split == "train"])
    if len(names) < 2:
        raise CohortError(
            f"A fold of '{cohort.table}' has {len(names)} training patient, too few to validate "
            "too. Set the share of validation to 0 or add patients."
        )
    groups = np.where(split == "train", patients, "")
    counts = count_classes(cohort, columns, [str(group) for group in groups], names.tolist())
    sides = deal_groups(counts, np.array([1 - fraction, fraction]), generator)
    return np.where(np.isin(groups, names[sides == 1]), "val", split)


def check_fold_settings(n_folds: int, val_fraction: float) -> None:
    """Refuse a number of folds, or a share of validation, that makes no sense.

    Raises
    ------
    ConfigError
        If it does.
    """
    if n_folds < 2:
        raise ConfigError(f"{n_folds} folds cannot be made. Ask for 2 or more.")
    if not 0 <= val_fraction < 1:
        raise ConfigError(
            f"The share of validation is {val_fraction:g}. Give a number from 0 to below 1."
        )


def check_learnable(cohort: Cohort, columns: Sequence[str], folds: Sequence[Fold]) -> None:
    """Refuse folds whose training part shows fewer than two classes of a column.

    Raises
    ------
    CohortError
        Names the fold and the column.
    """
    for column in columns:
        labels = cohort.labels(column)
        for fold in folds:
            shown = {str(label) for label in labels[fold.split == "train"]} - {""}
            if len(shown) < 2:
                found = f"only '{shown.pop()}'" if shown else "no value"
                raise CohortError(
                    f"The training slides of fold '{fold.name}' show {found} in the column "
                    f"'{column}', so it cannot be learned there. Ask for fewer folds, leave the "
                    "column out, or add slides of another class."
                )


def _patient_folds(
    cohort: Cohort,
    columns: Sequence[str],
    n_folds: int,
    seed: int,
    val_fraction: float,
    chosen: NDArray[np.bool_],
    name: str,
) -> tuple[Fold, ...]:
    """Make folds of the chosen slides; the others are left out."""
    patients = cohort.patients()
    names = np.unique(patients[chosen])
    if len(names) < n_folds:
        raise CohortError(
            f"The cohort table '{cohort.table}' has {len(names)} patients here, too few for "
            f"{n_folds} folds. Ask for fewer folds or add patients."
        )
    groups = np.where(chosen, patients, "")
    counts = count_classes(cohort, columns, [str(group) for group in groups], names.tolist())
    sides = deal_groups(counts, np.full(n_folds, 1 / n_folds), np.random.default_rng(seed))
    folds = []
    for number in range(n_folds):
        rest = np.where(chosen, "train", "")
        split = np.where(np.isin(groups, names[sides == number]), "test", rest)
        generator = np.random.default_rng([seed, number])
        split = with_validation(cohort, split, columns, val_fraction, generator)
        folds.append(Fold(f"{name}-{number}", split))
    check_learnable(cohort, columns, folds)
    return tuple(folds)
