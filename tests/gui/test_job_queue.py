"""Whose turn it is at the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import QObject, Signal

from napari_dre_slcl.gui.job_queue import JobQueue
from napari_dre_slcl.jobs.messages import (
    AskJob,
    Cancelled,
    Failed,
    Job,
    Log,
    PredictJob,
    Result,
    WhatIfJob,
)


class _Runner(QObject):
    """Runs nothing: the test says when a job ends. A real engine takes seconds to start."""

    progressed = Signal(object)
    ended = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.spec: Job | None = None
        self.started: list[Job] = []
        self.is_cancelled = False

    @property
    def is_running(self) -> bool:
        return self.spec is not None

    def start(self, job: Job) -> None:
        self.spec = job
        self.started.append(job)

    def cancel(self) -> None:
        self.is_cancelled = True

    def end(self, event: Any) -> None:
        job, self.spec = self.spec, None
        self.ended.emit(job, event)


def _ask(phrase: str) -> AskJob:
    return AskJob(model=Path("m"), phrases=(phrase,), out=Path("o.npy"))


def _what_if() -> WhatIfJob:
    return WhatIfJob(model=Path("m"), result=Path("r"))


def _predict() -> PredictJob:
    return PredictJob(model=Path("m"), slides=(Path("s.tif"),), out=Path("o"))


DONE = Result(kind="ask", paths={})


@pytest.fixture
def runner(qapp: Any) -> _Runner:
    """Return a runner that the test ends jobs of."""
    return _Runner()


@pytest.fixture
def asked(runner: _Runner) -> Any:
    """Return ask(job), and the answers by what they were to."""
    queue = JobQueue(runner)
    answers: list[tuple[Job, str]] = []

    def ask(job: Job) -> None:
        queue.ask(
            job,
            lambda end: answers.append((job, "done")),
            lambda sentence: answers.append((job, sentence)),
            lambda event: answers.append((job, event.message)),
        )

    ask.queue, ask.answers = queue, answers  # type: ignore[attr-defined]
    return ask


def test_of_the_questions_that_wait_the_newest_of_each_kind_is_asked(runner, asked) -> None:
    first, second, third, other = _ask("1"), _ask("2"), _ask("3"), _what_if()
    for job in (first, second, other, third):
        asked(job)

    for _ in range(3):
        runner.end(DONE)

    assert runner.started == [first, other, third]
    assert asked.answers == [(first, "done"), (other, "done"), (third, "done")]


def test_a_second_prediction_is_refused_while_one_runs_or_waits(runner, asked) -> None:
    question, first, second = _ask("1"), _predict(), _predict()
    for job in (question, first, second):
        asked(job)
    assert "already running" in asked.answers[0][1]
    assert asked.answers[0][0] is second

    runner.end(DONE)
    asked(third := _predict())

    assert runner.spec is first
    assert asked.answers[-1][0] is third


def test_a_job_of_somebody_else_is_waited_for_and_its_end_is_nobody_s_answer(runner, asked) -> None:
    runner.start(_predict())
    asked(question := _ask("1"))
    runner.end(Failed(message="The slide is broken."))

    assert runner.spec is question
    assert asked.answers == []


def test_failures_events_and_cancelling_reach_the_one_who_asked(runner, asked) -> None:
    one, two = _ask("1"), _ask("2")
    asked(one)
    asked(two)
    runner.progressed.emit(Log(message="Reading."))
    asked.queue.cancel("ask")

    assert runner.is_cancelled
    assert asked.answers == [(one, "Reading."), (two, "Cancelled.")]

    runner.end(Cancelled(message="Stopped."))
    asked(one)
    runner.end(Failed(message="No such model."))
    assert asked.answers[2:] == [(one, "Stopped."), (one, "No such model.")]


def test_nothing_is_answered_after_the_end(runner, asked) -> None:
    asked(_ask("1"))
    asked(_what_if())
    asked.queue.close()

    runner.end(DONE)

    assert asked.answers == []
    assert len(runner.started) == 1
