"""Scores of weighted slides, for many weightings at once: what the bootstrap repeats.

A `Metric` takes (b, n) weights of the n slides and gives (b,) values, NaN where it is undefined.
A resampled patient is a weight, so that one sort of the slides serves every resample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["METRIC_NAMES", "Metric", "check_predictions", "fold_mean", "task_metrics"]

Metric = Callable[[NDArray[np.float64]], NDArray[np.float64]]
METRIC_NAMES = ("auc", "average_precision", "f1", "balanced_accuracy")


def check_predictions(
    truth: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (n,) class numbers and (n, C) probabilities, checked.

    Parameters
    ----------
    truth : array_like
        (n,) class numbers, -1 where unknown.
    probabilities : array_like
        (n, C) with C >= 2; rows of unknown truth may hold anything.

    Raises
    ------
    ValueError
        If shapes differ, a class number is outside -1..C-1, or a probability of a labelled slide
        is not finite.
    """
    labels = np.asarray(truth, dtype=np.int64)
    values = np.asarray(probabilities, dtype=np.float64)
    if labels.ndim != 1 or values.ndim != 2 or len(values) != len(labels) or values.shape[1] < 2:
        raise ValueError(
            f"truth has the shape {labels.shape} and probabilities {values.shape}; "
            "they must be (n,) and (n, classes) with two classes or more"
        )
    if len(labels) and (labels.min() < -1 or labels.max() >= values.shape[1]):
        raise ValueError(
            f"class numbers go from {labels.min()} to {labels.max()} and there are "
            f"{values.shape[1]} classes; they must lie in -1..{values.shape[1] - 1}"
        )
    if not np.isfinite(values[labels >= 0]).all():
        raise ValueError("a labelled slide has a probability that is not a finite number")
    return labels, values


def task_metrics(truth: ArrayLike, probabilities: ArrayLike) -> dict[str, Metric]:
    """Return the metrics of one task by name, see `METRIC_NAMES`.

    With two classes, AUC, average precision and F1 are those of class 1. With more, they are the
    mean over classes of one against the rest, without classes for which they are undefined.
    A slide is said to be of the class with the highest probability.

    Parameters
    ----------
    truth : array_like
        (n,) class numbers, -1 where unknown; such slides count nowhere.
    probabilities : array_like
        (n, C).
    """
    labels, values = check_predictions(truth, probabilities)
    known = np.flatnonzero(labels >= 0)
    labels, values = labels[known], values[known]
    n_classes = values.shape[1]
    said = values.argmax(axis=1)
    asked = [1] if n_classes == 2 else list(range(n_classes))
    made = {
        "auc": _mean([_auc(labels == c, values[:, c]) for c in asked]),
        "average_precision": _mean([_average_precision(labels == c, values[:, c]) for c in asked]),
        "f1": _mean([_f1(labels == c, said == c) for c in asked]),
        "balanced_accuracy": _balanced_accuracy(labels, said, n_classes),
    }
    return {name: _on_rows(metric, known) for name, metric in made.items()}


def fold_mean(metrics: Sequence[Metric], rows: Sequence[NDArray[np.int64]]) -> Metric:
    """Return the mean over folds of a metric taken within each fold.

    Probabilities of differently trained models are not on one scale, so slides of two folds are
    not compared with each other. A fold for which a resample leaves the metric undefined is left
    out of that resample's mean.

    Parameters
    ----------
    metrics : sequence of Metric
        One per fold, on the fold's own slides.
    rows : sequence of ndarray
        For each fold, where its slides are in the weights; a slide may be in several folds.
    """
    pairs = list(zip(metrics, rows, strict=True))
    return _mean([_on_rows(metric, chosen) for metric, chosen in pairs])


def _on_rows(metric: Metric, rows: NDArray[np.int64]) -> Metric:
    def chosen(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return metric(weights[:, rows])

    return chosen


def _mean(metrics: Sequence[Metric]) -> Metric:
    if len(metrics) == 1:
        return metrics[0]

    def mean(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.stack([metric(weights) for metric in metrics])
        is_there = ~np.isnan(values)
        return _divide(np.where(is_there, values, 0.0).sum(axis=0), is_there.sum(axis=0))

    return mean


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole, NaN where the whole is nothing."""
    nothing = np.full(np.shape(part), np.nan)
    share: NDArray[np.float64] = np.divide(part, whole, out=nothing, where=np.asarray(whole) > 0)
    return share


class _Ranked:
    """Slides sorted by falling score; equal scores are one group.

    Parameters
    ----------
    is_positive : ndarray
        (n,) bool.
    score : ndarray
        (n,) higher speaks for positive.
    """

    def __init__(self, is_positive: NDArray[np.bool_], score: NDArray[np.float64]) -> None:
        self._order = np.argsort(-score, kind="stable")
        ranked = score[self._order]
        self._starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]][: len(score)])
        self._is_positive = is_positive[self._order].astype(np.float64)

    def masses(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (b, groups) weight of positives and of negatives."""
        ranked = weights[:, self._order]
        positive = ranked * self._is_positive
        negative = ranked - positive
        if 0 < len(self._starts) < len(self._order):
            positive = np.add.reduceat(positive, self._starts, axis=1)
            negative = np.add.reduceat(negative, self._starts, axis=1)
        return positive, negative


def _auc(is_positive: NDArray[np.bool_], score: NDArray[np.float64]) -> Metric:
    """Mann-Whitney: the share of positive-negative pairs in the right order, ties count half."""
    ranking = _Ranked(is_positive, score)

    def auc(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        positive, negative = ranking.masses(weights)
        above = np.cumsum(positive, axis=1)
        right = (negative * (above - 0.5 * positive)).sum(axis=1)
        return _divide(right, positive.sum(axis=1) * negative.sum(axis=1))

    return auc


def _average_precision(is_positive: NDArray[np.bool_], score: NDArray[np.float64]) -> Metric:
    """Sum over thresholds of precision times the gain in recall."""
    ranking = _Ranked(is_positive, score)

    def average_precision(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        positive, negative = ranking.masses(weights)
        found = np.cumsum(positive, axis=1)
        named = found + np.cumsum(negative, axis=1)
        precision = np.divide(found, named, out=np.zeros_like(found), where=named > 0)
        return _divide((positive * precision).sum(axis=1), positive.sum(axis=1))

    return average_precision


def _f1(is_positive: NDArray[np.bool_], is_said: NDArray[np.bool_]) -> Metric:
    """2 TP / (2 TP + FP + FN)."""

    def f1(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        both = weights @ (is_positive & is_said).astype(np.float64)
        either = weights @ (is_positive.astype(np.float64) + is_said.astype(np.float64))
        return _divide(2 * both, either)

    return f1


def _balanced_accuracy(
    labels: NDArray[np.int64], said: NDArray[np.int64], n_classes: int
) -> Metric:
    """Mean recall of the classes that are there; undefined with fewer than two."""
    is_class = (labels[:, None] == np.arange(n_classes)).astype(np.float64)
    is_right = is_class * (labels == said)[:, None]

    def balanced_accuracy(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        count = weights @ is_class
        recall = np.divide(weights @ is_right, count, out=np.zeros_like(count), where=count > 0)
        n_there = (count > 0).sum(axis=1)
        return np.where(n_there > 1, recall.sum(axis=1) / np.maximum(n_there, 1), np.nan)

    return balanced_accuracy
