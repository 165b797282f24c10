"""Which Progress events are worth a line."""

from __future__ import annotations

from napari_dre_slcl.jobs.messages import PAUSED_STAGE, Metric, Progress, Result
from napari_dre_slcl.jobs.throttle import ProgressThrottle


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def step(done: int, stage: str = "Training", total: int = 1000) -> Progress:
    return Progress(stage=stage, done=done, total=total)


def test_two_lines_a_second_and_the_first_and_last_of_each_stage() -> None:
    clock, told = Clock(), []
    throttle = ProgressThrottle(clock)
    for number in range(1001):  # ten seconds
        clock.now = number / 100
        told += throttle.pass_on(step(number))
    assert told[0] == step(0)
    assert told[-1] == step(1000)
    assert len(told) <= 22
    told += throttle.pass_on(step(0, "Testing"))
    told += throttle.pass_on(step(1, "Testing"))
    end = Result(kind="train", paths={})
    assert throttle.pass_on(end) == [step(1, "Testing"), end]


def test_what_is_held_back_comes_before_the_next_stage() -> None:
    throttle = ProgressThrottle(Clock())
    throttle.pass_on(step(0))
    assert throttle.pass_on(step(1)) == []
    assert throttle.pass_on(step(2)) == []
    assert throttle.pass_on(step(0, "Testing")) == [step(2), step(0, "Testing")]


def test_two_stages_that_take_turns_are_still_held_back() -> None:
    throttle = ProgressThrottle(Clock())
    told = []
    for number in range(500):
        told += throttle.pass_on(step(number))
        told += throttle.pass_on(step(1, "Validating", 1))
    assert len(told) == 2


def test_figures_and_pauses_always_come_through() -> None:
    throttle = ProgressThrottle(Clock())
    throttle.pass_on(step(0))
    metric = Metric(step=1, values={"loss": 1.0})
    assert throttle.pass_on(metric) == [metric]
    pause = step(1, PAUSED_STAGE)
    for _ in range(2):
        assert throttle.pass_on(pause)[-1] == pause
        assert throttle.pass_on(step(1)) == [step(1)]  # says that it goes on
        assert throttle.pass_on(step(2)) == []
