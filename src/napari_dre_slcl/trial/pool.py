"""The processes in which files are tried: warm, a few at once, and ended with this one."""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache

from napari_dre_slcl.forked import restart_after_fork
from napari_dre_slcl.trial.limits import Limits
from napari_dre_slcl.trial.process import ProbeEndedError, ProbeProcess

__all__ = ["ProbePool", "probe_pool"]

MOST_PROCESSES = 4


@cache
def probe_pool() -> ProbePool:
    """Return the pool of this process; it is closed at the end of the process."""
    pool = ProbePool(min(MOST_PROCESSES, os.cpu_count() or 1))
    atexit.register(pool.close)
    return pool


class ProbePool:
    """Lends a process for a trial and starts another where one has ended; for many threads.

    Parameters
    ----------
    limit : int
        Processes at once; who comes later waits.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.restart_in_child()
        restart_after_fork(self)

    def restart_in_child(self) -> None:
        """Start afresh after a fork: the parent's processes answer the parent."""
        for process in getattr(self, "_all", ()):
            process.forget()
        self._lock = threading.Lock()
        self._room = threading.Semaphore(self.limit)
        self._idle: list[ProbeProcess] = []
        self._all: set[ProbeProcess] = set()

    def start(self, kind: str) -> None:
        """Start a first process for a kind of files, unless there is one; returns at once.

        Raises
        ------
        ProbeStartError
            If that cannot be done here.
        """
        with self._lock:
            if not self._all:
                self._idle.append(self._new(kind))

    def ask(self, kind: str, place: str, detail: str, limits: Limits) -> dict[str, str]:
        """Try a file in a process that is free; as `ProbeProcess.ask`."""
        with self._room:
            try:
                return self._ask_once(kind, place, detail, limits)
            except ProbeEndedError as error:
                if not error.is_from_outside:
                    raise
                return self._ask_once(kind, place, detail, limits)

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            ended, self._all, self._idle = self._all, set(), []
        for process in ended:
            process.close()

    def _ask_once(self, kind: str, place: str, detail: str, limits: Limits) -> dict[str, str]:
        with self._lock:
            process = self._idle.pop() if self._idle else self._new(kind)
        try:
            answer = process.ask(kind, place, detail, limits)
        except BaseException:
            with self._lock:
                self._all.discard(process)
            process.close()
            raise
        with self._lock:
            if process in self._all:  # else all were ended meanwhile
                self._idle.append(process)
        return answer

    def _new(self, kind: str) -> ProbeProcess:
        process = ProbeProcess(kind)
        self._all.add(process)
        return process
