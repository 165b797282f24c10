"""Whether a probability means what it says: calibration, temperature, and when to abstain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from napari_dre_slcl.metrics.weighted import check_predictions

__all__ = [
    "AbstentionCurve",
    "ReliabilityCurve",
    "Temperature",
    "abstention_curve",
    "expected_calibration_error",
    "fit_temperature",
    "reliability_curve",
    "scale_probabilities",
]

_TEMPERATURES = (0.05, 20.0)
_LEAST_PROBABILITY = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityCurve:
    """What was said and what came true, by bins of what was said; empty bins are left out.

    Parameters
    ----------
    low, high : ndarray
        (bins,) edges.
    said : ndarray
        (bins,) mean probability.
    true : ndarray
        (bins,) share that came true.
    count : ndarray
        (bins,) slides.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    said: NDArray[np.float64]
    true: NDArray[np.float64]
    count: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Temperature:
    """A temperature that was fitted on validation slides.

    Parameters
    ----------
    value : float
        Logits are divided by it; above 1 it makes a model humbler.
    n : int
        Labelled slides that it was fitted on.
    loss_before, loss_after : float
        Mean negative log-likelihood of those slides, in nats.
    """

    value: float
    n: int
    loss_before: float
    loss_after: float


@dataclass(frozen=True, slots=True, eq=False)
class AbstentionCurve:
    """Accuracy on the slides that a model is surest of, when it may leave the others to a person.

    Parameters
    ----------
    coverage : ndarray
        (points,) share of slides that it answers, rising to 1.
    accuracy : ndarray
        (points,) share of those that it gets right.
    threshold : ndarray
        (points,) probability of the answer from which on it answers.
    area_over : float
        Mean error over all coverages, 0 at best (AURC).
    """

    coverage: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    threshold: NDArray[np.float64]
    area_over: float


def reliability_curve(
    truth: ArrayLike, probabilities: ArrayLike, n_bins: int = 10
) -> ReliabilityCurve:
    """Return the reliability curve in bins of equal width.

    With two classes it is that of class 1, from 0 to 1; with more, that of the answer, the most
    probable class.

    Parameters
    ----------
    truth : array_like
        (n,) class numbers, -1 where unknown; such slides count nowhere.
    probabilities : array_like
        (n, C).
    n_bins : int
        Between 0 and 1.
    """
    said, came_true = _said_and_true(truth, probabilities)
    edges = np.linspace(0, 1, n_bins + 1)
    place = np.clip((said * n_bins).astype(np.int64), 0, n_bins - 1)
    count = np.bincount(place, minlength=n_bins)
    used = np.flatnonzero(count)
    return ReliabilityCurve(
        edges[used],
        edges[used + 1],
        np.bincount(place, said, n_bins)[used] / count[used],
        np.bincount(place, came_true, n_bins)[used] / count[used],
        count[used],
    )


def expected_calibration_error(
    truth: ArrayLike, probabilities: ArrayLike, n_bins: int = 10
) -> float | None:
    """Return the mean gap between what was said and what came true, weighted by slides.

    Of the bins of `reliability_curve` (Naeini et al. 2015; Guo et al. 2017). Chance alone makes
    it larger than 0 on few slides: compare it on the same slides only.

    Returns
    -------
    float or None
        0 to 1; None without labelled slides.
    """
    curve = reliability_curve(truth, probabilities, n_bins)
    if not len(curve.count):
        return None
    return float(np.average(np.abs(curve.said - curve.true), weights=curve.count))


def fit_temperature(truth: ArrayLike, probabilities: ArrayLike) -> Temperature | None:
    """Fit a temperature on validation slides.

    Minimises ``mean(-log softmax(z / T)[y]) + log(T)^2 / (2 n)`` (Guo et al. 2017, ICML; the
    second term is a prior of one unit on log T: a handful of slides that are all right would
    otherwise drive T to 0, and it is soon outweighed).

    Parameters
    ----------
    truth : array_like
        (n,) class numbers, -1 where unknown.
    probabilities : array_like
        (n, C) of validation slides, never of the test slides that are scaled with it.

    Returns
    -------
    Temperature or None
        None without labelled slides.
    """
    labels, values = check_predictions(truth, probabilities)
    known = labels >= 0
    labels, logits = labels[known], _logits(values[known])
    n = len(labels)
    if not n:
        return None

    def loss(temperature: float) -> float:
        return float(-log_softmax(logits / temperature, axis=1)[np.arange(n), labels].mean())

    def penalised(log_t: float) -> float:
        return loss(float(np.exp(log_t))) + log_t**2 / (2 * n)

    bounds = tuple(np.log(_TEMPERATURES))
    found = minimize_scalar(penalised, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    value = float(np.exp(found.x))
    return Temperature(value, n, loss(1.0), loss(value))


def scale_probabilities(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Return (n, C) probabilities at another temperature; the order of classes stays.

    Raises
    ------
    ValueError
        If the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"the temperature is {temperature}; it must be above 0")
    scaled: NDArray[np.float64] = softmax(_logits(np.asarray(probabilities)) / temperature, axis=1)
    return scaled


def abstention_curve(
    truth: ArrayLike, probabilities: ArrayLike, n_points: int = 101
) -> AbstentionCurve | None:
    """Return accuracy against coverage (El-Yaniv and Wiener 2010, JMLR 11).

    Slides are answered by falling probability of the answer. Of slides with the same probability
    none comes first: they share their mean.

    Parameters
    ----------
    truth : array_like
        (n,) class numbers, -1 where unknown; such slides count nowhere.
    probabilities : array_like
        (n, C).
    n_points : int
        The curve is thinned to at most this many.

    Returns
    -------
    AbstentionCurve or None
        None without labelled slides.
    """
    labels, values = check_predictions(truth, probabilities)
    known = labels >= 0
    labels, values = labels[known], values[known]
    n = len(labels)
    if not n:
        return None
    sure = values.max(axis=1)
    order = np.argsort(-sure, kind="stable")
    right = (values.argmax(axis=1) == labels)[order].astype(np.float64)
    _, group, size = np.unique(-sure[order], return_inverse=True, return_counts=True)
    right = (np.bincount(group, right) / size)[group]
    accuracy = np.cumsum(right) / np.arange(1, n + 1)
    shown = np.unique(np.linspace(0, n - 1, min(n, n_points)).round().astype(np.int64))
    return AbstentionCurve(
        (shown + 1) / n, accuracy[shown], sure[order][shown], float(1 - accuracy.mean())
    )


def _logits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return logits up to a constant per row, which the softmax does not see."""
    logits: NDArray[np.float64] = np.log(np.maximum(values, _LEAST_PROBABILITY))
    return logits


def _said_and_true(
    truth: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    labels, values = check_predictions(truth, probabilities)
    known = labels >= 0
    labels, values = labels[known], values[known]
    if values.shape[1] == 2:
        return values[:, 1], (labels == 1).astype(np.float64)
    return values.max(axis=1), (values.argmax(axis=1) == labels).astype(np.float64)
