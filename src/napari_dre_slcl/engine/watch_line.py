"""The end of a process's line to the first one: when that is gone, or says so, the process ends.

The other end is `engine.watch`'s.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from napari_dre_slcl.engine.watch import HOST_GONE_S, notice_lost_machines
from napari_dre_slcl.plain_text import visible

__all__ = ["Line"]

_PATIENCE_S = 30.0


class Line:
    """Another process's end of its line; this process ends when the first one is gone.

    Parameters
    ----------
    address : tuple of str and int
        Of the hub.
    token : str
        The hub's.
    rank : int
        Of this process.
    last_words : callable
        Returns what is written to standard error when the first process is gone without a word;
        may be empty.
    linger_s : float
        Wait so long when the first process says that it has failed. Some launchers end all with the
        first one that ends, and it should have spoken by then.

    Raises
    ------
    OSError
        If the hub cannot be reached.
    """

    def __init__(
        self,
        address: tuple[str, int],
        token: str,
        rank: int,
        last_words: Callable[[], str],
        linger_s: float,
    ) -> None:
        self._socket = socket.create_connection(address, timeout=_PATIENCE_S)
        self._socket.settimeout(None)
        notice_lost_machines(self._socket)
        self._last_words, self._linger_s = last_words, linger_s
        self._is_over = threading.Event()
        self._is_let_go = threading.Event()
        self._send({"rank": rank, "token": token})
        threading.Thread(target=self._listen, name="dre-slcl-watch", daemon=True).start()

    def lost(self) -> None:
        """Return nothing: this process ends when the first one does."""

    def fail(self, sentence: str) -> None:
        """Tell the first process what went wrong here."""
        self._send(sentence)

    def wait_for_verdict(self, seconds: float) -> None:
        """Give the first process time to end this one, if it is about to."""
        self._is_over.wait(seconds)

    def end(self) -> None:
        """Tell that this process has come to its end, and wait for that of the first one."""
        with suppress(OSError):
            self._socket.sendall(b"done\n")
        self._is_over.wait()

    def let_go(self) -> None:
        """Leave this process alone from here on: its part of the training is over."""
        self._is_let_go.set()

    def _send(self, message: Any) -> None:
        with suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        word = b""
        with suppress(OSError):
            word = self._socket.recv(64)
        if word.startswith(b"over"):
            self._is_over.set()
            if self._is_let_go.wait(HOST_GONE_S):  # as long as it may take to the end of its part
                return
            _leave("")
        if word:
            time.sleep(self._linger_s)
        if not self._is_let_go.is_set():
            _leave("" if word else self._last_words())


def _leave(words: str) -> NoReturn:
    """End this process, whatever it does: it waits for others that are gone."""
    if words:
        sys.stderr.write(f"Error: {visible(words)}\n")
        sys.stderr.flush()
    os._exit(1)
