"""What is asked of a running job from outside: to stop, to hold still, to go on.

Asked by signals, by commands on the wire, and by files in the run folder.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import set_mark

__all__ = ["CANCEL_FILE", "PAUSE_FILE", "Requests", "obey_signals"]

CANCEL_FILE = "cancel"
"""A file of this name in a run folder asks its job to stop."""
PAUSE_FILE = "pause"
"""A file of this name in a run folder asks its job to hold still until the file is gone."""


class Requests:
    """The wishes of whoever watches one job; safe to set from threads and signal handlers."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._pause = threading.Event()
        self._run_dir: Path | None = None
        self._is_written = False

    def watch(self, run_dir: Path | None) -> None:
        """Look for request files in a run folder from now on; None looks nowhere."""
        self._run_dir = run_dir
        if self._pause.is_set():
            self._write_pause()

    def stop(self) -> None:
        """Ask the job to end."""
        self._stop.set()

    def pause(self) -> None:
        """Ask the job to hold still, by a file as well, so that any process can take it back."""
        self._pause.set()
        self._write_pause()

    def go_on(self) -> None:
        """Take the wish to hold still back, its file too."""
        self._pause.clear()
        self._is_written = False
        if self._run_dir is not None:
            with contextlib.suppress(OSError):
                (self._run_dir / PAUSE_FILE).unlink(missing_ok=True)

    def leave_alone(self) -> None:
        """End the job if it is to hold still: nobody is left who could let it go on."""
        if self._pause.is_set():
            self._stop.set()

    def should_stop(self) -> bool:
        """Whether the job is to end."""
        return self._stop.is_set() or self._has_file(CANCEL_FILE)

    def should_pause(self) -> bool:
        """Whether the job is to hold still."""
        if self._is_written and not self._has_file(PAUSE_FILE):
            self._pause.clear()
            self._is_written = False
        return self._pause.is_set() or self._has_file(PAUSE_FILE)

    def _write_pause(self) -> None:
        if self._run_dir is not None:
            with contextlib.suppress(OSError):
                set_mark(self._run_dir / PAUSE_FILE)
                self._is_written = True

    def _has_file(self, name: str) -> bool:
        return self._run_dir is not None and (self._run_dir / name).exists()


@contextlib.contextmanager
def obey_signals(*asked: Requests) -> Iterator[None]:
    """Turn signals into requests for the length of a block.

    SIGINT and SIGTERM stop, a second one at once and for good. SIGUSR1 pauses and SIGUSR2 goes on,
    where the system has them.

    Parameters
    ----------
    *asked : Requests
        Told what is wished for.
    """
    previous: dict[signal.Signals, Any] = {}
    was_asked = threading.Event()

    def on_stop(number: int, _frame: object) -> None:
        if was_asked.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        was_asked.set()
        for requests in asked:
            requests.stop()

    def on_pause(_number: int, _frame: object) -> None:
        for requests in asked:
            requests.pause()

    def on_go_on(_number: int, _frame: object) -> None:
        for requests in asked:
            requests.go_on()

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, on_stop)
    if hasattr(signal, "SIGUSR1"):
        previous[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, on_pause)
        previous[signal.SIGUSR2] = signal.signal(signal.SIGUSR2, on_go_on)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
