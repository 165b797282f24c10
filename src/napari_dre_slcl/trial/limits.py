"""What a trial may use, and what its process says when it is ready."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLOCK_S", "CPU_S", "MEMORY_BYTES", "READY", "START_S", "Limits"]

CPU_S = 10
"""Processor time; a slide opens in a tenth of a second."""
CLOCK_S = 60
"""Clock, for slow drives and networks, and for what waits for ever."""
MEMORY_BYTES = 2**30
"""More than the process has before it opens the file."""
START_S = 60
"""For the process to start, on a busy machine."""
READY = {"ready": "yes"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one trial may use.

    Parameters
    ----------
    cpu_s : int
        Processor time.
    clock_s : int
        By the clock.
    memory_bytes : int
        More than the process has before.
    """

    cpu_s: int = CPU_S
    clock_s: int = CLOCK_S
    memory_bytes: int = MEMORY_BYTES
