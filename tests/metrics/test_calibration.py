"""Calibration, temperature and abstention, on probabilities whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from napari_dre_slcl.metrics.calibration import (
    abstention_curve,
    expected_calibration_error,
    fit_temperature,
    reliability_curve,
    scale_probabilities,
)


def _two(p: np.ndarray) -> np.ndarray:
    return np.stack([1 - p, p], axis=1)


def test_reliability_of_a_hand_made_case() -> None:
    p = np.array([0.05, 0.05, 0.95, 0.95, 1.0])
    curve = reliability_curve([0, 1, 1, 1, 0], _two(p))
    np.testing.assert_allclose(curve.low, [0, 0.9])
    np.testing.assert_allclose(curve.high, [0.1, 1])
    np.testing.assert_allclose(curve.said, [0.05, 2.9 / 3])
    np.testing.assert_allclose(curve.true, [0.5, 2 / 3])
    assert curve.count.tolist() == [2, 3]
    expected = (2 * 0.45 + 3 * (2.9 / 3 - 2 / 3)) / 5
    assert expected_calibration_error([0, 1, 1, 1, 0], _two(p)) == pytest.approx(expected)


def test_calibration_of_more_classes_is_that_of_the_answer() -> None:
    values = np.array([[0.75, 0.2, 0.05], [0.1, 0.75, 0.15], [0.75, 0.15, 0.1], [0.5, 0.3, 0.2]])
    error = expected_calibration_error([0, 1, 1, -1], values)
    assert error == pytest.approx(0.75 - 2 / 3)


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_temperature_undoes_a_known_factor(factor: float) -> None:
    rng = np.random.default_rng(0)
    truth_logit = 1.5 * rng.normal(size=6000)
    truth = (rng.random(6000) < expit(truth_logit)).astype(int)
    said = _two(expit(factor * truth_logit))
    found = fit_temperature(truth[:3000], said[:3000])
    assert found is not None
    assert found.n == 3000
    assert found.value == pytest.approx(factor, rel=0.1)
    assert found.loss_after <= found.loss_before + 1e-9
    scaled = scale_probabilities(said[3000:], found.value)
    after = expected_calibration_error(truth[3000:], scaled)
    assert after is not None
    assert after < 0.03
    if factor != 1.0:
        before = expected_calibration_error(truth[3000:], said[3000:])
        assert before is not None
        assert after < 0.5 * before


def test_scaling_divides_logits_and_keeps_the_order() -> None:
    z = np.random.default_rng(1).normal(size=(20, 3))
    scaled = scale_probabilities(softmax(z, axis=1), 2.5)
    np.testing.assert_allclose(scaled, softmax(z / 2.5, axis=1), atol=1e-12)
    p = np.array([0.2, 0.9])
    np.testing.assert_allclose(scale_probabilities(_two(p), 2)[:, 1], expit(logit(p) / 2))
    with pytest.raises(ValueError, match="above 0"):
        scale_probabilities(_two(p), 0)


def test_few_slides_that_are_all_right_do_not_make_a_model_certain() -> None:
    found = fit_temperature([0, 1, 1], _two(np.array([0.3, 0.7, 0.8])))
    assert found is not None
    assert 0.3 < found.value < 1
    certain = fit_temperature([0, 1], _two(np.array([0.0, 1.0])))
    assert certain is not None
    assert np.isfinite(certain.loss_after)


def test_nothing_without_labels() -> None:
    values = _two(np.array([0.3]))
    assert fit_temperature([-1], values) is None
    assert expected_calibration_error([-1], values) is None
    assert abstention_curve([-1], values) is None


def test_abstaining_from_the_unsure_slides() -> None:
    p = np.array([0.99, 0.05, 0.8, 0.3, 0.55])
    curve = abstention_curve([1, 0, 1, 1, 0], _two(p))
    assert curve is not None
    np.testing.assert_allclose(curve.coverage, [0.2, 0.4, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(curve.accuracy, [1, 1, 1, 0.75, 0.6])
    np.testing.assert_allclose(curve.threshold, [0.99, 0.95, 0.8, 0.7, 0.55])
    assert curve.area_over == pytest.approx((0.25 + 0.4) / 5)


def test_the_order_of_equally_sure_slides_does_not_matter() -> None:
    values = np.full((4, 2), 0.5)
    first = abstention_curve([0, 0, 1, 1], values)
    second = abstention_curve([1, 1, 0, 0], values)
    assert first is not None
    assert second is not None
    np.testing.assert_allclose(first.accuracy, 0.5)
    np.testing.assert_allclose(second.accuracy, 0.5)


def test_a_long_curve_is_thinned_to_its_ends() -> None:
    p = np.random.default_rng(2).random(1000)
    curve = abstention_curve(np.ones(1000, int), _two(p), n_points=11)
    assert curve is not None
    assert len(curve.coverage) == 11
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx((p > 0.5).mean())
