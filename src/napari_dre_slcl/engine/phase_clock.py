"""Seconds spent in each phase of the training steps, measured without holding up a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

__all__ = ["PHASES", "Clock", "PhaseClock"]

PHASES = ("reading", "encoder", "bank", "residual", "loss", "optimiser")

Clock = Callable[[str], AbstractContextManager[None]]


class PhaseClock:
    """Adds up the time of phases; ``with clock("encoder"): ...``. Phases do not nest.

    On a CUDA device the work of a phase is queued, not done, when its block ends. There, events
    are put into the queue, and read only when `read` is called, so that no step waits for them.
    Waiting for tiles is time of this process on every device.

    Parameters
    ----------
    device : torch.device
        Where the network is.
    """

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Count the time of a block to a phase."""
        if self._is_cuda and phase != "reading":
            start, end = _event(), _event()
            start.record()
            yield
            end.record()
            self._events.append((phase, start, end))
        else:
            begun = time.perf_counter()
            yield
            self._add(phase, time.perf_counter() - begun)

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase since the last call, and start anew."""
        if self._events:
            torch.cuda.synchronize()
        for phase, start, end in self._events:
            self._add(phase, start.elapsed_time(end) / 1000)
        self._events.clear()
        seconds, self._seconds = self._seconds, dict.fromkeys(PHASES, 0.0)
        return seconds

    def _add(self, phase: str, seconds: float) -> None:
        # "network" is there where several processes train.
        self._seconds[phase] = self._seconds.get(phase, 0.0) + seconds


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
