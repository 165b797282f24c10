"""A few threads, shared by all slides that are drawn, that end when the last of them is gone."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

__all__ = ["BlockThreads", "shared_threads"]

MAX_THREADS = 8


class BlockThreads:
    """Runs the tasks of one caller in the caller's thread and in idle threads of a pool.

    The caller works too and leaves only tasks that already run to others, so that it never waits
    for a free thread: any number of callers, tasks that call again, and a child forked from a
    busy parent all go on. The pool's threads end when this object is gone.

    Parameters
    ----------
    n_threads : int, optional
        Threads per call, the caller's included; one per processor by default, 8 at most.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self._n_threads = n_threads or min(_n_processors(), MAX_THREADS)
        self._pool: ThreadPoolExecutor | None = None
        self._pid = os.getpid()

    def run(self, tasks: Iterable[Callable[[], None]]) -> None:
        """Run tasks, in no particular order, and wait until they are done.

        The first error ends the others early and is raised.
        """
        waiting = deque(tasks)

        def work() -> None:
            try:
                while waiting:
                    try:
                        task = waiting.popleft()
                    except IndexError:  # another thread took the last one
                        return
                    task()
            finally:  # nothing is left, unless a task failed: then nobody shall begin another
                waiting.clear()

        helpers = [self._submit(work) for _ in range(min(self._n_threads, len(waiting)) - 1)]
        try:
            work()
        finally:
            started = [helper for helper in helpers if helper is not None and not helper.cancel()]
            errors = [error for helper in started if (error := helper.exception()) is not None]
        if errors:
            raise errors[0]

    def _submit(self, work: Callable[[], None]) -> Future[None] | None:
        if self._pool is None or self._pid != os.getpid():  # threads do not outlive a fork
            self._pid = os.getpid()
            self._pool = ThreadPoolExecutor(self._n_threads, thread_name_prefix="slide-blocks")
        try:
            return self._pool.submit(work)
        except RuntimeError:  # the interpreter is ending; the caller works alone
            return None


_shared: weakref.ReferenceType[BlockThreads] | None = None


def shared_threads() -> BlockThreads:
    """Return the threads that live as long as anybody keeps what this returns."""
    global _shared
    threads = None if _shared is None else _shared()
    if threads is None:
        threads = BlockThreads()
        _shared = weakref.ref(threads)
    return threads


def _n_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
