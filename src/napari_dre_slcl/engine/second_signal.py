"""A second Ctrl-C is heard also while the main thread waits inside a library for another process.

Python runs its handlers in the main thread, between two of its own steps; a collective that waits
for a process which stands still takes none. The number of a signal is written to a socket at once.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["heard_while_waiting"]

_HANDLED_WITHIN_S = 2.0
_STOPS = frozenset({signal.SIGINT, signal.SIGTERM})


@contextmanager
def heard_while_waiting(do: Callable[[], None]) -> Iterator[None]:
    """Call a function after two signals to stop that nobody has acted on within two seconds.

    Parameters
    ----------
    do : callable
        Called in a thread, once; it should end the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, told = socket.socketpair()
    told.setblocking(False)
    is_over = threading.Event()
    before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(heard, is_over, do), daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        is_over.set()
        told.close()
        listener.join()
        heard.close()


def _listen(heard: socket.socket, is_over: threading.Event, do: Callable[[], None]) -> None:
    asked: list[float] = []
    while numbers := heard.recv(64):
        asked += [time.monotonic() for number in numbers if number in _STOPS]
        if len(asked) > 1 and not is_over.wait(_HANDLED_WITHIN_S):
            do()
            return
