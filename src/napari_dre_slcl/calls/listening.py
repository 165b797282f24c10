"""Who hears of a call: its events go to the caller, its warnings to Python's, Ctrl-C to the job."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_dre_slcl.jobs.messages import Event, Log
from napari_dre_slcl.jobs.requests import Requests, obey_signals

__all__ = ["OnEvent", "listening", "warn_of"]

_PACKAGE = __name__.partition(".")[0]

OnEvent = Callable[[Event], None]
"""Gets Progress, Metric, Snapshot, Workers and Log events as they happen."""


@contextmanager
def listening(on_event: OnEvent | None) -> Iterator[tuple[OnEvent, Requests]]:
    """Yield where events go and what is asked of the job.

    Ctrl-C asks the job to stop at a safe place, as on the command line; a second one ends Python.
    Outside the main thread no signal is caught.

    Parameters
    ----------
    on_event : callable, optional
        Gets every event; without it, sentences that warn become Python warnings.
    """
    requests = Requests()
    hear = warn_of if on_event is None else on_event
    if threading.current_thread() is not threading.main_thread():
        yield hear, requests
        return
    with obey_signals(requests):
        yield hear, requests


def warn_of(event: Event) -> None:
    """Turn a sentence that warns into a Python warning of the line that called us."""
    if isinstance(event, Log) and event.level == "warning":
        warnings.warn(event.message, stacklevel=_level_of_caller())


def _level_of_caller() -> int:
    """Return how far up the first frame is that is not ours, nor called by one of ours."""
    frame, level, found = inspect.currentframe(), 0, 1
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE:
            found = level
        frame, level = frame.f_back, level + 1
    return found + 1
