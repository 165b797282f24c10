"""Paired tests against slow, literal forms, and by how often they err."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from napari_dre_slcl.metrics.paired import corrected_fold_test, delong, paired_bootstrap
from napari_dre_slcl.metrics.weighted import task_metrics


def _scores(rng: np.random.Generator, n: int, gain: float = 0.0) -> tuple:
    truth = np.arange(n) % 2
    shared = truth + rng.normal(size=n)
    a = shared + gain * truth + 0.7 * rng.normal(size=n)
    return truth, np.round(a, 1), np.round(shared + 0.7 * rng.normal(size=n), 1)


def _literal_delong(truth: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return difference and variance by the double loop of the 1988 paper."""
    v10, v01 = [], []
    for score in (a, b):
        x, y = score[truth == 1], score[truth == 0]
        psi = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    s = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    return v10[0].mean() - v10[1].mean(), s[0, 0] + s[1, 1] - 2 * s[0, 1]


@pytest.mark.parametrize("n", [11, 60, 301])
def test_delong_equals_the_double_loop(n: int) -> None:
    truth, a, b = _scores(np.random.default_rng(n), n, gain=0.5)
    found = delong(np.r_[truth, -1], np.r_[a, np.nan], np.r_[b, 3.0])
    difference, variance = _literal_delong(truth, a, b)
    assert found is not None
    assert found.n == n
    assert found.difference == pytest.approx(difference)
    assert found.high - found.low == pytest.approx(2 * 1.959964 * np.sqrt(variance))


def test_delong_errs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    p = [delong(*_scores(rng, 80)).p for _ in range(1000)]  # type: ignore[union-attr]
    assert 0.03 <= np.mean(np.array(p) < 0.05) <= 0.07


def test_copies_of_a_slide_prove_nothing() -> None:
    truth, a, b = _scores(np.random.default_rng(1), 60, gain=0.6)
    copies = np.tile(np.arange(60), 5)
    once = delong(truth, a, b)
    by_patient = delong(truth[copies], a[copies], b[copies], patients=copies)
    by_slide = delong(truth[copies], a[copies], b[copies])
    assert once is not None
    assert by_patient is not None
    assert by_slide is not None
    assert by_patient.p == pytest.approx(once.p)
    assert by_slide.p < by_patient.p


def test_a_method_is_not_better_than_itself() -> None:
    truth, a, _ = _scores(np.random.default_rng(2), 40)
    same = delong(truth, a, a)
    assert same is not None
    assert (same.difference, same.p) == (0, 1)
    metric = task_metrics(truth, np.stack([-a, a], axis=1))["auc"]
    again = paired_bootstrap(metric, metric, np.arange(40), n_resamples=50)
    assert again is not None
    assert (again.difference, again.low, again.high, again.p) == (0, 0, 0, 1)


def test_bootstrap_agrees_with_delong() -> None:
    truth, a, b = _scores(np.random.default_rng(3), 300, gain=0.3)
    metrics = [task_metrics(truth, np.stack([-s, s], axis=1))["auc"] for s in (a, b)]
    drawn = paired_bootstrap(*metrics, np.arange(300))
    exact = delong(truth, a, b)
    assert drawn is not None
    assert exact is not None
    assert drawn.difference == pytest.approx(exact.difference)
    assert drawn.high - drawn.low == pytest.approx(exact.high - exact.low, rel=0.1)
    assert drawn.p == pytest.approx(exact.p, abs=0.02)


def test_undefined_comparisons_are_none() -> None:
    assert delong([1, 0, 0], [1.0, 2, 3], [1.0, 2, 3]) is None
    assert delong([1, 1, 0, 0], [1.0] * 4, [2.0] * 4, patients=["a", "a", "b", "c"]) is None
    metric = task_metrics([1, 1], np.full((2, 2), 0.5))["auc"]
    assert paired_bootstrap(metric, metric, ["a", "b"]) is None
    assert corrected_fold_test([0.9], [0.8], 80, 20) is None


def test_shapes_and_labels_are_checked() -> None:
    with pytest.raises(ValueError, match="same slides"):
        delong([0, 1], [0.1, 0.2], [0.1, 0.2], patients=["a"])
    with pytest.raises(ValueError, match="1, 0"):
        delong([0, 2], [0.1, 0.2], [0.1, 0.2])
    with pytest.raises(ValueError, match="not a finite"):
        delong([0, 1], [0.1, np.nan], [0.1, 0.2])


def test_fold_test_is_the_t_test_with_a_wider_variance() -> None:
    a = np.array([0.95, 0.93, 0.96, 0.94, np.nan])
    b = np.array([0.93, 0.92, 0.93, 0.935, 0.9])
    found = corrected_fold_test(a, b, n_train=80, n_test=20)
    plain = ttest_rel(a[:4], b[:4])
    assert found is not None
    assert found.n == 4
    assert found.difference == pytest.approx(np.mean(a[:4] - b[:4]))
    t = plain.statistic * np.sqrt((1 / 4) / (1 / 4 + 20 / 80))
    half = (found.high - found.low) / 2
    assert found.difference / half == pytest.approx(t / 3.182446, rel=1e-5)
    assert found.p > plain.pvalue


def test_fold_test_refuses_other_folds() -> None:
    with pytest.raises(ValueError, match="equal folds"):
        corrected_fold_test([0.9, 0.8], [0.9], 80, 20)
    with pytest.raises(ValueError, match="above 0"):
        corrected_fold_test([0.9, 0.8], [0.9, 0.7], 80, 0)
