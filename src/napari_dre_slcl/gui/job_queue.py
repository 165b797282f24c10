"""JobQueue: questions for one engine, asked one after the other, each with its own listener."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import QObject

from napari_dre_slcl.errors import JobError
from napari_dre_slcl.gui.job_runner import JobRunner
from napari_dre_slcl.jobs.messages import AskJob, Cancelled, Event, Failed, Job, Result, WhatIfJob

__all__ = ["JobQueue"]

_QUICK = (AskJob, WhatIfJob)
_WHAT_RUNS = {
    "predict": "A prediction is already running. Wait for its end, or cancel it.",
    "index": "The cohort is already being made searchable. Wait for its end, or cancel it.",
}


def _nothing(event: Event) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    job: Job
    on_result: Callable[[Result], None]
    on_error: Callable[[str], None]
    on_event: Callable[[Event], None]


class JobQueue(QObject):
    """Hands jobs to a runner as it becomes free.

    Quick questions (`AskJob`, `WhatIfJob`) are never interrupted, and of those of a kind that wait
    only the newest is asked: the others would answer what nobody asks any more. A longer job is
    refused while one of its kind runs or waits.

    Parameters
    ----------
    runner : JobRunner
        Others may start jobs on it as well; a job that is in the way is waited for.
    """

    def __init__(self, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._waiting: list[_Question] = []
        self._asked: _Question | None = None
        self._is_closed = False
        runner.progressed.connect(self._on_progressed)
        runner.ended.connect(self._on_ended)

    def ask(
        self,
        job: Job,
        on_result: Callable[[Result], None],
        on_error: Callable[[str], None],
        on_event: Callable[[Event], None] = _nothing,
    ) -> None:
        """Start a job, now or as soon as it is its turn.

        Parameters
        ----------
        job : Job
            What to do.
        on_result : callable
            Gets its `Result`, on the main thread; never called for a question that a newer one has
            taken the place of.
        on_error : callable
            Gets a sentence where it was refused, failed or was cancelled.
        on_event : callable, optional
            Gets its Progress, Metric and Log events.
        """
        if isinstance(job, _QUICK):
            self._waiting = [one for one in self._waiting if one.job.kind != job.kind]
        elif self._is_known(job.kind):
            on_error(_WHAT_RUNS.get(job.kind, "A job of this kind is already running."))
            return
        self._waiting.append(_Question(job, on_result, on_error, on_event))
        self._start_next()

    def cancel(self, kind: str) -> None:
        """Take back the jobs of a kind that wait, and stop the one that runs."""
        gone = [one for one in self._waiting if one.job.kind == kind]
        self._waiting = [one for one in self._waiting if one.job.kind != kind]
        spec = self._runner.spec
        if spec is not None and spec.kind == kind:
            self._runner.cancel()
        for one in gone:
            one.on_error(Cancelled().message)

    def close(self) -> None:
        """Forget every question; nobody is told."""
        self._is_closed = True
        self._waiting.clear()
        self._asked = None

    def _is_known(self, kind: str) -> bool:
        spec = self._runner.spec
        is_running = spec is not None and spec.kind == kind
        return is_running or any(one.job.kind == kind for one in self._waiting)

    def _start_next(self) -> None:
        while self._waiting and not self._is_closed and not self._runner.is_running:
            question = self._waiting.pop(0)
            self._asked = question
            try:
                self._runner.start(question.job)
            except JobError as error:
                self._asked = None
                question.on_error(str(error))

    def _on_progressed(self, event: Event) -> None:
        if self._asked is not None:
            self._asked.on_event(event)

    def _on_ended(self, job: Job, end: Result | Failed | Cancelled) -> None:
        question, self._asked = self._asked, None
        if question is not None and question.job is job:
            if isinstance(end, Result):
                question.on_result(end)
            else:
                question.on_error(end.message)
        self._start_next()
