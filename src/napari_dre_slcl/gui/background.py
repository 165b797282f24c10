"""Background: slow calls in one thread, their outcome back on the main thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer

from napari_dre_slcl.crash import crash_sentence, crash_trace
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.plain_text import visible

__all__ = ["Background"]

_POLL_MS = 30


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    topic: str
    future: Future[Any]
    on_done: Callable[[Any], None]
    on_error: Callable[[str], None]


class Background(QObject):
    """Runs calls one after the other, outside the main thread.

    A new call makes the answers of earlier calls of the same topic stale: they are dropped.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="dre-slcl-background")
        self._calls: list[_Call] = []
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._deliver)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is still to come."""
        return bool(self._calls)

    def run(
        self,
        topic: str,
        work: Callable[..., Any],
        *args: Any,
        on_done: Callable[[Any], None],
        on_error: Callable[[str], None],
    ) -> None:
        """Call ``work(*args)`` in the thread.

        Parameters
        ----------
        topic : str
            What is done, in words such as "reading 'a.tif'"; only the newest call of a topic is
            answered.
        work : callable
            Must not touch Qt or napari.
        *args
            Its arguments.
        on_done : callable
            Gets what it returned, on the main thread.
        on_error : callable
            Gets a sentence where it failed, on the main thread.
        """
        for call in self._calls:
            if call.topic == topic:
                call.future.cancel()
        self._calls = [call for call in self._calls if call.topic != topic]
        future = self._pool.submit(partial(work, *args))
        self._calls.append(_Call(topic, future, on_done, on_error))
        self._timer.start()

    def close(self) -> None:
        """Drop all answers and wait for the thread."""
        if isalive(self._timer):  # at the end of the interpreter Qt may be gone already
            self._timer.stop()
        self._calls.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(self) -> None:
        for call in [call for call in self._calls if call.future.done()]:
            if call in self._calls:  # else the answer before made this one stale
                self._calls.remove(call)
                _answer(call)
        if not self._calls and isalive(self._timer):
            self._timer.stop()


def _answer(call: _Call) -> None:
    """Hand over the outcome; whatever went wrong, the user is told and the others get theirs."""
    try:
        call.on_done(call.future.result())
    except DreSlclError as error:
        call.on_error(str(error))
    except Exception as error:  # noqa: BLE001 - one of the three boundaries: a slot tells
        topic = visible(call.topic)
        logging.getLogger("napari_dre_slcl").error(
            "Unexpected error while %s\n%s", topic, crash_trace(error)
        )
        call.on_error(
            f"An error that this plugin does not know has ended {topic}: {crash_sentence(error)}. "
            "Please report it."
        )
