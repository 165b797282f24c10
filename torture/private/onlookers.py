"""What others on the machine can see while a command runs: its processes, and Dask's dashboard."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

__all__ = ["watched"]

_EVERY_S, _PATIENCE_S = 0.5, 2.0


@contextmanager
def watched(seen: Path) -> Iterator[None]:
    """Write down what can be seen during a block.

    Parameters
    ----------
    seen : Path
        Text file: command lines of all processes that were started, and the dashboard's pages.
    """
    found: set[str] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(_EVERY_S):
            found.update(_command_lines())
            found.update(_dashboard())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
        if found:
            seen.write_text("\n".join(sorted(found)), encoding="utf-8", errors="replace")


def _command_lines() -> Iterator[str]:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended
            yield " ".join(process.cmdline())


def _dashboard() -> Iterator[str]:
    """Give keys of tasks and the pages on workers and tasks, of a scheduler in this process."""
    kind = getattr(sys.modules.get("distributed.scheduler"), "Scheduler", None)
    for scheduler in [] if kind is None else list(kind._instances):
        keys = list(scheduler.tasks.copy())  # they change while one looks
        yield from keys
        dashboard = scheduler.services.get("dashboard")
        port = getattr(dashboard or getattr(scheduler, "http_server", None), "port", None)
        for page in ("main/workers", *(f"task/{key}" for key in keys)):
            with suppress(URLError, OSError), urlopen(_page(port, page), None, _PATIENCE_S) as told:
                yield told.read().decode("utf-8", "replace")


def _page(port: int | None, name: str) -> str:
    return f"http://127.0.0.1:{port}/info/{name}.html"
