"""Which of a job's many Progress events are worth a line in a file."""

from __future__ import annotations

import time
from collections.abc import Callable

from pydantic import BaseModel

from napari_dre_slcl.jobs.messages import PAUSED_STAGE, Cancelled, Failed, Progress, Result

__all__ = ["ProgressThrottle"]

_EVERY_S = 0.5


class ProgressThrottle:
    """Let everything through but Progress that follows another of its stage too closely.

    The first and the last of a stage always come through: the last with whatever begins or ends
    after it. So does what follows a pause, as that says that the job goes on.

    Parameters
    ----------
    clock : callable
        Seconds, always rising.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told_at: dict[str, float] = {}
        self._complete: set[str] = set()
        self._held: dict[str, Progress] = {}
        self._is_paused = False

    def pass_on(self, event: BaseModel) -> list[BaseModel]:
        """Return what is to be told now that an event has come, in order.

        Parameters
        ----------
        event : BaseModel
            Any event of the wire.
        """
        if not isinstance(event, Progress):
            is_end = isinstance(event, (Result, Failed, Cancelled))
            return [*(self._release() if is_end else ()), event]
        is_new = event.stage not in self._told_at
        is_pause = event.stage == PAUSED_STAGE
        goes_on, self._is_paused = self._is_paused, is_pause
        told: list[BaseModel] = []
        if is_new or is_pause:
            told = self._release()
        if is_new or is_pause or goes_on or self._is_due(event):
            self._note(event)
            return [*told, event]
        self._held[event.stage] = event
        return told

    def _is_due(self, event: Progress) -> bool:
        is_complete = event.done >= event.total and event.stage not in self._complete
        return is_complete or self._clock() - self._told_at[event.stage] >= _EVERY_S

    def _note(self, event: Progress) -> None:
        self._told_at[event.stage] = self._clock()
        self._held.pop(event.stage, None)
        if event.done >= event.total:
            self._complete.add(event.stage)

    def _release(self) -> list[BaseModel]:
        held: list[BaseModel] = list(self._held.values())
        self._held.clear()
        return held
