"""How long a stage still takes, by how fast it has come so far. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable

from napari_dre_slcl.engine.amounts import duration_text
from napari_dre_slcl.jobs.messages import PAUSED_STAGE, Progress

__all__ = ["TimeToGo"]

_LEAST_S = 3.0
_WHOLE = "Training"


class TimeToGo:
    """Told each Progress of a job, guesses when the stage, or the whole training, is over.

    Parameters
    ----------
    clock : callable
        Seconds, always rising.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}
        self._last: dict[str, Progress] = {}
        self._stage = ""

    def clear(self) -> None:
        """Forget the job."""
        self._begun, self._last, self._stage = {}, {}, ""

    def note(self, event: Progress) -> None:
        """Take a Progress in; a pause makes what was measured before worthless."""
        if event.stage == PAUSED_STAGE:
            self._begun.clear()
            self._stage = ""
            return
        # What is done between two epochs is part of the training's time.
        between = self._last.get(_WHOLE)
        is_between = between is not None and between.done < between.total
        self._stage = _WHOLE if is_between and event.stage != _WHOLE else event.stage
        self._last[event.stage] = event
        begun = self._begun.get(event.stage)
        if begun is None or event.done < begun[1]:
            self._begun[event.stage] = (self._clock(), event.done)

    def seconds(self) -> float | None:
        """Return the seconds to go; None while there is no telling."""
        event, begun = self._last.get(self._stage), self._begun.get(self._stage)
        if event is None or begun is None:
            return None
        spent, done = self._clock() - begun[0], event.done - begun[1]
        if spent < _LEAST_S or done <= 0 or event.done >= event.total:
            return None
        return spent / done * (event.total - event.done)

    def text(self) -> str:
        """Return such as ``about 12 min to go``; empty while there is no telling."""
        seconds = self.seconds()
        return "" if seconds is None else f"about {duration_text(seconds)} to go"
