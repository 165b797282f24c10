"""Intervals over patients: how often they hold the truth, and what they do at the edge."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from napari_dre_slcl.metrics.bootstrap import (
    bootstrap_interval,
    patients_by_class,
    resample,
    score_intervals,
)
from napari_dre_slcl.metrics.weighted import task_metrics


def _cohort(rng: np.random.Generator, n_patients: int, auc: float) -> tuple:
    """Return labels, probabilities and patients; slides of a patient resemble each other."""
    patients = np.repeat(np.arange(n_patients), rng.choice([1, 1, 2, 3], n_patients))
    is_ill = np.arange(n_patients) % 2
    shift = norm.ppf(auc) * np.sqrt(2)
    own = shift * is_ill + np.sqrt(0.7) * rng.normal(size=n_patients)
    p = norm.cdf(own[patients] + np.sqrt(0.3) * rng.normal(size=len(patients)) - shift / 2)
    return is_ill[patients], np.stack([1 - p, p], axis=1), patients


def test_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    n_held = 0
    for number in range(300):
        truth, values, patients = _cohort(rng, 60, auc=0.9)
        interval = score_intervals(truth, values, patients, n_resamples=150, seed=number)["auc"]
        assert interval is not None
        n_held += interval.low <= 0.9 <= interval.high
    assert 0.925 <= n_held / 300 <= 0.975


def test_slides_of_one_patient_do_not_count_as_many_patients() -> None:
    truth, values, patients = _cohort(np.random.default_rng(1), 60, auc=0.8)
    once = score_intervals(truth, values, patients)["auc"]
    repeated = np.tile(np.arange(len(truth)), 9)
    copied = score_intervals(truth[repeated], values[repeated], patients[repeated])["auc"]
    as_if = score_intervals(truth[repeated], values[repeated], np.arange(len(repeated)))["auc"]
    assert once is not None
    assert copied is not None
    assert as_if is not None
    assert copied.high - copied.low == pytest.approx(once.high - once.low)
    assert as_if.high - as_if.low < 0.5 * (once.high - once.low)


def test_same_seed_gives_the_same_interval() -> None:
    truth, values, patients = _cohort(np.random.default_rng(2), 40, auc=0.8)
    first, again, other = (
        score_intervals(truth, values, patients, n_resamples=100, seed=seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_perfect_order_is_not_taken_for_certain() -> None:
    truth = np.repeat([0, 1], 10)
    p = np.linspace(0, 1, 20)
    interval = score_intervals(truth, np.stack([1 - p, p], axis=1), np.arange(20))["auc"]
    assert interval is not None
    assert interval.estimate == interval.high == 1
    assert interval.low == pytest.approx(0.025 ** (1 / 10))


def test_an_order_upside_down_is_not_taken_for_certain() -> None:
    truth = np.repeat([1, 0], 10)
    p = np.linspace(0, 1, 20)
    metric = task_metrics(truth, np.stack([1 - p, p], axis=1))["auc"]
    interval = bootstrap_interval(metric, np.arange(20), n_effective=10)
    assert interval is not None
    assert (interval.low, interval.estimate) == (0, 0)
    assert interval.high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_no_interval_where_nothing_can_be_said() -> None:
    values = np.full((4, 2), 0.5)
    one_class = score_intervals([1, 1, 1, 1], values, ["a", "b", "c", "d"])
    assert one_class["auc"] is None
    assert one_class["average_precision"] is not None
    one_patient = score_intervals([0, 1, 0, 1], values, ["a"] * 4)
    assert set(one_patient.values()) == {None}
    no_labels = score_intervals([-1] * 4, values, ["a", "b", "c", "d"])
    assert set(no_labels.values()) == {None}


def test_draws_are_the_same_for_every_metric() -> None:
    truth, values, patients = _cohort(np.random.default_rng(5), 30, auc=0.8)
    metric = task_metrics(truth, values)["auc"]
    first, second = resample([metric, metric], patients, 50, seed=0)
    np.testing.assert_array_equal(first, second)


def test_the_rarest_class_is_counted_by_patient() -> None:
    assert patients_by_class([0, 0, 1, 1, 1, -1], ["a", "a", "b", "c", "d", "e"]) == 1
    assert patients_by_class([-1], ["a"]) == 0
