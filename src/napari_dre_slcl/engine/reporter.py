"""How a running job speaks and listens: events out, the wish to stop in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from napari_dre_slcl.jobs.messages import Event, Log, Metric, Progress

__all__ = ["OnEvent", "Reporter", "ShouldStop", "Stopped"]

OnEvent = Callable[[Event], None]
ShouldStop = Callable[[], bool]


class Stopped(Exception):
    """Raised where a job notices that it should stop."""


class Reporter:
    """Send events and notice the wish to stop.

    Parameters
    ----------
    on_event : callable
        Gets each event.
    should_stop : callable
        True once the user wants the job to end.
    """

    def __init__(self, on_event: OnEvent, should_stop: ShouldStop) -> None:
        self._on_event = on_event
        self._should_stop = should_stop
        self._warned: set[str] = {""}

    def progress(self, stage: str, done: int, total: int, message: str = "") -> None:
        """Say how far a stage has come; raises `Stopped` where the user wants to stop."""
        self._on_event(Progress(stage=stage, done=done, total=total, message=message))
        if self._should_stop():
            raise Stopped

    def log(self, message: str, level: Literal["info", "warning"] = "info") -> None:
        """Send a sentence."""
        self._on_event(Log(level=level, message=message))

    def warn_once(self, message: str) -> None:
        """Send a warning, unless it is empty or was sent before."""
        if message not in self._warned:
            self._warned.add(message)
            self.log(message, "warning")

    def metric(self, step: int, values: dict[str, float]) -> None:
        """Send numbers measured at a step."""
        self._on_event(Metric(step=step, values=values))
