"""Wait for a slow call while the window stays alive, where an answer must be returned."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from qtpy.QtCore import QCoreApplication, QEventLoop, QThread, QTimer

__all__ = ["wait_for"]

_POLL_MS = 20
_T = TypeVar("_T")


def wait_for(work: Callable[..., _T], *args: object) -> _T:
    """Call ``work(*args)`` in a thread and return its answer; events are handled meanwhile.

    For callbacks of napari that must return data, such as samples. Without a running application,
    or outside its thread, the call is made right here.

    Parameters
    ----------
    work : callable
        Must not touch Qt or napari; what it raises is raised here.
    *args
        Its arguments.
    """
    application = QCoreApplication.instance()
    if application is None or QThread.currentThread() != application.thread():
        return work(*args)
    with ThreadPoolExecutor(1, thread_name_prefix="dre-slcl-sample") as pool:
        future = pool.submit(work, *args)
        loop, timer = QEventLoop(), QTimer()
        timer.setInterval(_POLL_MS)
        timer.timeout.connect(lambda: loop.quit() if future.done() else None)
        timer.start()
        if not future.done():
            loop.exec()
        timer.stop()
        return future.result()
