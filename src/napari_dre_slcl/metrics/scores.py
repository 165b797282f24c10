"""How well the predictions of one task agree with its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_dre_slcl.metrics.weighted import task_metrics

__all__ = ["Scores", "Spread", "spread_of", "task_scores"]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one task; None where undefined.

    Parameters
    ----------
    n : int
        Slides with a label.
    auc : float or None
        Area under the ROC curve.
    average_precision : float or None
        Area under the precision-recall curve, as the sum over thresholds.
    f1 : float or None
        At the most probable class.
    balanced_accuracy : float or None
        Mean recall of the classes that are there, at the most probable class.
    """

    n: int
    auc: float | None
    average_precision: float | None
    f1: float | None
    balanced_accuracy: float | None


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over folds and seeds.

    Parameters
    ----------
    mean : float
        Of the values that are defined.
    std : float or None
        Their standard deviation, with n - 1; None for a single value.
    n : int
        How many there are.
    """

    mean: float
    std: float | None
    n: int


def task_scores(truth: ArrayLike, probabilities: ArrayLike) -> Scores:
    """Return the scores of one task.

    With two classes, AUC, average precision and F1 are those of class 1. With more, they are the
    mean over classes of one against the rest, without classes for which they are undefined. AUC
    and balanced accuracy need two classes among the labels, average precision a positive slide,
    F1 a slide that is positive or said to be.

    Parameters
    ----------
    truth : array_like
        (n,) class numbers, -1 where unknown; such slides count nowhere.
    probabilities : array_like
        (n, C) with C >= 2.

    Raises
    ------
    ValueError
        If shapes or class numbers do not fit, or a labelled slide's probability is not finite.
    """
    labels = np.asarray(truth)
    weights = np.ones((1, len(labels)))
    values = {
        name: float(metric(weights)[0])
        for name, metric in task_metrics(labels, probabilities).items()
    }
    defined = {name: None if np.isnan(value) else value for name, value in values.items()}
    return Scores(n=int((labels >= 0).sum()), **defined)


def spread_of(values: Sequence[float | None]) -> Spread | None:
    """Return mean and standard deviation of the values that are defined; None if there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    std = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return Spread(float(np.mean(known)), std, len(known))
