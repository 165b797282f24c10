"""What a trial of a slide may use, and what its process says when it is ready."""

__all__ = ["CLOCK_S", "CPU_S", "MEMORY_BYTES", "READY", "START_S"]

CPU_S = 10
"""Processor time; a slide opens in a tenth of a second."""
CLOCK_S = 60
"""Clock, for slow drives and networks, and for what waits for ever."""
MEMORY_BYTES = 2**30
"""More than the process has before it opens the slide."""
START_S = 60
"""For the process to start, on a busy machine."""
READY = {"ready": "yes"}
