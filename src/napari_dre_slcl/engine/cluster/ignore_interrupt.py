"""Loaded by workers that this program starts: Ctrl-C is for the program, which then ends them."""

from __future__ import annotations

import signal

from distributed import Worker

__all__ = ["dask_setup"]


def dask_setup(worker: Worker) -> None:
    """Pass over the interrupt that a terminal sends to all its processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
