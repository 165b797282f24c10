"""How a running job speaks and listens: events out, the wishes to stop and to hold still in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from napari_dre_slcl.jobs.messages import (
    PAUSED_STAGE,
    Event,
    Failed,
    Log,
    Metric,
    Progress,
    Snapshot,
)

__all__ = ["OnEvent", "Reporter", "ShouldPause", "ShouldStop", "Stopped"]

OnEvent = Callable[[Event], None]
ShouldStop = Callable[[], bool]
ShouldPause = Callable[[], bool]

_LOOK_EVERY_S = 0.1
_CHECK_EVERY_S = 2.0
Done = TypeVar("Done")
_HOW_TO_GO_ON = (
    "Go on in the window, with signal SIGUSR2, or by deleting the file 'pause' in the run folder."
)


class Stopped(Exception):
    """Raised where a job notices that it should stop."""


class Reporter:
    """Send events, and notice the wish to stop or to hold still.

    Parameters
    ----------
    on_event : callable
        Gets each event.
    should_stop : callable
        True once the user wants the job to end.
    should_pause : callable, optional
        True while the user wants the job to hold still.
    """

    def __init__(
        self,
        on_event: OnEvent,
        should_stop: ShouldStop,
        should_pause: ShouldPause = lambda: False,
    ) -> None:
        self._on_event = on_event
        self._should_stop = should_stop
        self._should_pause = should_pause
        self._on_hold: Callable[[], None] | None = None
        self._check: Callable[[], None] | None = None
        self._checked = 0.0
        self._warned: set[str] = {""}

    @contextmanager
    def saving(self, save: Callable[[], None] | None) -> Iterator[None]:
        """Call ``save`` before the job stops or holds still within the block.

        Parameters
        ----------
        save : callable or None
            Keeps where the job stands; None where there is no safe place to stop at.
        """
        before, self._on_hold = self._on_hold, save
        try:
            yield
        finally:
            self._on_hold = before

    @contextmanager
    def asking(self, check: Callable[[], None]) -> Iterator[None]:
        """Have each `progress` within the block ask now and then whether the job may go on.

        Parameters
        ----------
        check : callable
            Raises where the run folder is another process's by now.
        """
        self._check = check
        try:
            yield
        finally:
            self._check = None

    def progress(self, stage: str, done: int, total: int, message: str = "") -> None:
        """Say how far a stage has come; hold still or raise `Stopped` where the user wants it."""
        if self._check is not None and time.monotonic() - self._checked > _CHECK_EVERY_S:
            self._checked = time.monotonic()
            self._check()
        self._on_event(Progress(stage=stage, done=done, total=total, message=message))
        is_asked = self._should_pause()
        if (is_asked or self._should_stop()) and self._on_hold is not None:
            self._on_hold()
        if is_asked:
            self._on_event(
                Progress(stage=PAUSED_STAGE, done=done, total=total, message=_HOW_TO_GO_ON)
            )
            self._wait_for_user()
            self._on_event(Progress(stage=stage, done=done, total=total, message=message))
        self.stop_if_wanted()

    def stop_if_wanted(self) -> None:
        """Raise `Stopped` where the user wants it, and nothing else."""
        if self._should_stop():
            raise Stopped

    def _wait_for_user(self) -> None:
        while self._should_pause() and not self._should_stop():
            time.sleep(_LOOK_EVERY_S)

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Where several processes train: call `progress` as often in each within the block."""
        yield

    def each(self, work: Callable[[], Done]) -> Done:
        """Do work in every process of the training; here in the one that there is."""
        return work()

    def telling_all(self, save: Callable[[], None]) -> Callable[[], None]:
        """Return what saves in every process, for work that is done `by_main`."""
        return save

    def by_main(self, work: Callable[[], Done]) -> Done:
        """Do work in the first process of the training; here in the one that there is."""
        return work()

    def log(self, message: str, level: Literal["info", "warning"] = "info") -> None:
        """Send a sentence."""
        self._on_event(Log(level=level, message=message))

    def warn_once(self, message: str) -> None:
        """Send a warning, unless it is empty or was sent before."""
        if message not in self._warned:
            self._warned.add(message)
            self.log(message, "warning")

    def without_logs(self) -> Reporter:
        """Return one that asks the same whether to stop, tells progress, and keeps sentences."""

        def tell(event: Event) -> None:
            if isinstance(event, Progress):
                self._on_event(event)

        return Reporter(tell, self._should_stop, self._should_pause)

    def last_word(self, message: str) -> None:
        """Say why the job fails where its process cannot come back to say so."""
        self._on_event(Failed(message=message))

    def metric(self, step: int, values: dict[str, float]) -> None:
        """Send numbers measured at a step."""
        self._on_event(Metric(step=step, values=values))

    def snapshot(self, step: int, path: Path) -> None:
        """Say that a result of the pinned slide has been written."""
        self._on_event(Snapshot(step=step, path=path))
