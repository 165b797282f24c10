"""Schedules of self-distillation at the places where they are known."""

import pytest

from napari_dre_slcl.config.slpd import SlpdConfig
from napari_dre_slcl.methods.distillation_schedule import DistillationSchedule


@pytest.fixture
def schedule() -> DistillationSchedule:
    settings = SlpdConfig(lr=5e-4, warmup=0.1, weight_decay=0.04, weight_decay_end=0.4, ema=0.996)
    return DistillationSchedule(settings, steps=100, batch=512)


def test_the_rate_rises_to_its_peak_and_falls(schedule: DistillationSchedule) -> None:
    assert schedule.rate(10) == pytest.approx(5e-4 * 512 / 256)
    assert schedule.rate(4) == pytest.approx(1e-3 * 5 / 11)
    assert schedule.rate(55) == pytest.approx((1e-3 + 2e-6) / 2)
    assert schedule.rate(100) == pytest.approx(2e-6)


def test_decay_and_momentum_rise_on_half_a_cosine(schedule: DistillationSchedule) -> None:
    assert schedule.weight_decay(0) == pytest.approx(0.04)
    assert schedule.weight_decay(50) == pytest.approx(0.22)
    assert schedule.weight_decay(100) == pytest.approx(0.4)
    assert schedule.momentum(0) == pytest.approx(0.996)
    assert schedule.momentum(50) == pytest.approx(0.998)
    assert schedule.momentum(100) == pytest.approx(1)


def test_a_training_of_one_step_is_at_its_peak() -> None:
    one = DistillationSchedule(SlpdConfig(lr=1e-3), steps=1, batch=256)
    assert one.rate(0) == pytest.approx(1e-3)
