"""The difference of two methods on the same slides, or the same folds, and whether it is chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata
from scipy.stats import t as student_t

from napari_dre_slcl.metrics.bootstrap import resample
from napari_dre_slcl.metrics.weighted import Metric

__all__ = ["PairedTest", "corrected_fold_test", "delong", "paired_bootstrap"]


@dataclass(frozen=True, slots=True)
class PairedTest:
    """The difference of two methods, a minus b.

    Parameters
    ----------
    test : str
        How it was made.
    a, b : float
        The figure of each.
    difference : float
        a - b.
    low, high : float
        Its 95 % interval.
    p : float
        Two-sided: the chance of such a difference, or a larger one, were both alike.
    n : int
        Patients, or folds.
    """

    test: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    n: int


def delong(
    truth: ArrayLike, a: ArrayLike, b: ArrayLike, patients: ArrayLike | None = None
) -> PairedTest | None:
    """Compare two AUCs on the same slides.

    DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44), by midranks (Sun and Xu 2014). With
    patients, their slides are not taken as independent (Obuchowski 1997, Biometrics 53); with
    one slide each the two agree.

    Parameters
    ----------
    truth : array_like
        (n,) 1 or 0, -1 where unknown.
    a, b : array_like
        (n,) scores of the two methods.
    patients : array_like, optional
        (n,) whose each slide is; every slide its own by default.

    Returns
    -------
    PairedTest or None
        None with fewer than two patients of either class.

    Raises
    ------
    ValueError
        If shapes differ or a labelled slide has a score that is not finite.
    """
    labels, scores, who = _labelled(truth, a, b, patients)
    is_positive = labels == 1
    if min(len(np.unique(who[is_positive])), len(np.unique(who[~is_positive]))) < 2:
        return None
    positive, negative = _placements(is_positive, scores)
    areas = positive.mean(axis=1)
    covariance = _covariance(positive, negative, who[is_positive], who[~is_positive])
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    error = np.sqrt(max(variance, 0.0))
    if error < 1e-12:
        p = 1.0 if abs(difference) < 1e-12 else 0.0
    else:
        p = float(2 * norm.sf(abs(difference) / error))
    half = float(norm.ppf(0.975)) * error
    a_auc, b_auc = float(areas[0]), float(areas[1])
    n_patients = len(np.unique(who))
    ends = (difference - half, difference + half)
    return PairedTest("DeLong", a_auc, b_auc, difference, *ends, p, n_patients)


def _labelled(
    truth: ArrayLike, a: ArrayLike, b: ArrayLike, patients: ArrayLike | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    labels = np.asarray(truth, dtype=np.int64)
    scores = np.stack([np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)])
    who = np.arange(len(labels)) if patients is None else np.asarray(patients)
    if labels.ndim != 1 or scores.shape != (2, len(labels)) or who.shape != labels.shape:
        raise ValueError(
            f"truth has the shape {labels.shape}, the scores {scores.shape[1:]} and patients "
            f"{who.shape}; they must be of the same slides"
        )
    if not set(np.unique(labels)) <= {-1, 0, 1}:
        raise ValueError("truth must be 1, 0, or -1 where unknown")
    known = labels >= 0
    if not np.isfinite(scores[:, known]).all():
        raise ValueError("a labelled slide has a score that is not a finite number")
    codes: NDArray[np.int64] = np.unique(who[known], return_inverse=True)[1].ravel()
    return labels[known], scores[:, known], codes


def _placements(
    is_positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (2, m) share of negatives below each positive, (2, n) of positives above negatives."""
    m, n = int(is_positive.sum()), int((~is_positive).sum())
    ranks = rankdata(scores, axis=1)
    above = (ranks[:, is_positive] - rankdata(scores[:, is_positive], axis=1)) / n
    below = 1 - (ranks[:, ~is_positive] - rankdata(scores[:, ~is_positive], axis=1)) / m
    return above, below


def _covariance(
    positive: NDArray[np.float64],
    negative: NDArray[np.float64],
    positive_patients: NDArray[np.int64],
    negative_patients: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the (2, 2) covariance of the AUCs from sums of deviations by patient."""
    n_codes = int(max(positive_patients.max(), negative_patients.max())) + 1
    sums = []
    for values, who in ((positive, positive_patients), (negative, negative_patients)):
        deviations = values - values.mean(axis=1, keepdims=True)
        by_patient = np.stack([np.bincount(who, row, n_codes) for row in deviations])
        n_there = len(np.unique(who))
        sums.append(by_patient * np.sqrt(n_there / (n_there - 1)) / values.shape[1])
    # A patient with slides of both classes enters with the sum of its two parts.
    total = sums[0] + sums[1]
    covariance: NDArray[np.float64] = total @ total.T
    return covariance


def paired_bootstrap(
    a: Metric, b: Metric, patients: ArrayLike, *, n_resamples: int = 2000, seed: int = 0
) -> PairedTest | None:
    """Compare any metric of two methods, both on the same draws of patients.

    The interval is the estimate ± 1.96 standard errors, p the chance of the estimate under a
    normal distribution of that spread around 0: percentiles of a difference are too short where
    both figures are near 1.

    Parameters
    ----------
    a, b : Metric
        The metric of each method, on the same n slides.
    patients : array_like
        (n,) whose each slide is.
    n_resamples : int
        Draws.
    seed : int
        Of the draws.

    Returns
    -------
    PairedTest or None
        None where a metric is undefined, or there are fewer than two patients.
    """
    who = np.asarray(patients)
    n_patients = len(np.unique(who))
    if n_patients < 2:
        return None
    ones = np.ones((1, len(who)))
    first, second = float(a(ones)[0]), float(b(ones)[0])
    if np.isnan(first) or np.isnan(second):
        return None
    values = resample([a, b], who, n_resamples, seed)
    differences = values[0] - values[1]
    differences = differences[~np.isnan(differences)]
    error = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    difference = first - second
    if error < 1e-12:
        p = 1.0 if abs(difference) < 1e-12 else 0.0
    else:
        p = float(2 * norm.sf(abs(difference) / error))
    half = float(norm.ppf(0.975)) * error
    ends = (difference - half, difference + half)
    return PairedTest("paired bootstrap", first, second, difference, *ends, p, n_patients)


def corrected_fold_test(
    a: ArrayLike, b: ArrayLike, n_train: float, n_test: float
) -> PairedTest | None:
    """Compare two methods by their figures on the same folds.

    Folds share most of their training slides, so a plain paired t-test finds differences where
    there are none. The variance is corrected for it,
    ``t = mean(d) / sqrt((1/k + n_test/n_train) var(d))`` with k - 1 degrees of freedom
    (Nadeau and Bengio 2003, Machine Learning 52). Average over seeds first: they are no folds.

    Parameters
    ----------
    a, b : array_like
        (k,) figure of each fold; NaN where undefined, such folds count nowhere.
    n_train, n_test : float
        Slides on either side, on average over folds.

    Returns
    -------
    PairedTest or None
        None with fewer than two folds.

    Raises
    ------
    ValueError
        If the folds differ in number, or a side is empty.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"there are {first.shape} and {second.shape} figures; compare equal folds")
    if n_train <= 0 or n_test <= 0:
        raise ValueError(f"{n_train} training and {n_test} test slides; both must be above 0")
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    k = len(first)
    if k < 2:
        return None
    differences = first - second
    mean = float(differences.mean())
    error = float(np.sqrt((1 / k + n_test / n_train) * differences.var(ddof=1)))
    if error < 1e-12:
        p = 1.0 if abs(mean) < 1e-12 else 0.0
    else:
        p = float(2 * student_t.sf(abs(mean) / error, k - 1))
    half = float(student_t.ppf(0.975, k - 1)) * error
    ends = (mean - half, mean + half)
    figures = (float(first.mean()), float(second.mean()))
    return PairedTest("corrected t-test over folds", *figures, mean, *ends, p, k)
