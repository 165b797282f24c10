"""Lines from each process of a training to the first one: who has ended, and why.

A line is a TCP connection that nothing but a few words travels on. When a process is killed its
system closes the line at once; when a machine is gone, the system of the other end finds out within
seconds. So a process that computes, waits or holds still for hours is never taken for dead.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from napari_dre_slcl.errors import JobError

__all__ = ["Hub", "Line"]

_PATIENCE_S = 30.0
_HOST_GONE_S = 12
"""How long a machine may be silent; its system answers, not the process."""
_HELLO_BYTES = 256
_LOOK_EVERY_S = 0.2


class Hub:
    """The first process's end of all lines.

    Parameters
    ----------
    names : mapping of int to str
        Rank -> what sentences call it, of all the others.
    how_to_go_on : str
        Ends the sentences about what went wrong.
    is_local : bool
        All processes are on this machine: nobody else can connect.

    Attributes
    ----------
    port : int
        Where it listens.
    token : str
        What a process must know to be listened to.
    """

    def __init__(self, names: Mapping[int, str], how_to_go_on: str, *, is_local: bool) -> None:
        self._names = dict(names)
        self._how_to_go_on = how_to_go_on
        self._children: Mapping[int, subprocess.Popen[bytes]] = {}
        self._listener = socket.create_server(("127.0.0.1" if is_local else "", 0), backlog=512)
        self.port = int(self._listener.getsockname()[1])
        self.token = secrets.token_hex(16)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._lines: dict[int, socket.socket] = {}
        self._done: set[int] = set()
        self._problem = ""
        self._since_s = 0.0
        self._has_problem = threading.Event()
        self._is_closed = threading.Event()
        self._on_trouble: list[tuple[float, Callable[[str], None]]] = []
        self._thread = threading.Thread(target=self._listen, name="dre-slcl-watch", daemon=True)

    def start(self, children: Mapping[int, subprocess.Popen[bytes]]) -> None:
        """Begin to listen; some of the processes may be this one's children."""
        self._children = children
        self._thread.start()

    def wait_for_all(self) -> None:
        """Wait until every process has its line.

        Raises
        ------
        JobError
            If one does not come, or has ended.
        """
        give_up_s = time.monotonic() + _PATIENCE_S
        while missing := sorted(self._names.keys() - self._lines.keys()):
            self.check()
            if time.monotonic() > give_up_s:
                raise JobError(
                    f"{self._names[missing[0]]} cannot reach the first process at port "
                    f"{self.port}. Let the machines of a training reach each other at all ports."
                )
            time.sleep(_LOOK_EVERY_S / 4)

    def when_lost(self, after_s: float, do: Callable[[str], None]) -> None:
        """Call a function with the sentence, so long after a process was lost; in a thread."""
        self._on_trouble.append((after_s, do))

    def lost(self, within_s: float = 0.0) -> str | None:
        """Return the sentence for a process that was lost, or is within some seconds."""
        self._has_problem.wait(within_s)
        return self._problem or None

    def check(self) -> None:
        """Raise `JobError` where a process was lost."""
        if self._problem:
            raise JobError(self._problem)

    def close(self, *, is_well: bool) -> None:
        """Tell the others that all is over, and let go of them.

        Parameters
        ----------
        is_well : bool
            They may come to their own end; else they end at once.
        """
        self._is_closed.set()
        self._thread.join()
        for line in self._lines.values():
            with suppress(OSError):
                line.sendall(b"over\n" if is_well else b"failed\n")
        for line in (*self._lines.values(), self._listener, self._selector):
            line.close()

    # -- the thread ------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._is_closed.is_set():
            for key, _events in self._selector.select(_LOOK_EVERY_S):
                if key.data is None:
                    self._greet()
                else:
                    self._hear(key.data)
            self._tell_of_trouble()

    def _greet(self) -> None:
        with suppress(OSError, ValueError, KeyError, TypeError):
            line, _address = self._listener.accept()
            line.settimeout(_LOOK_EVERY_S * 10)
            hello = json.loads(line.makefile("rb").readline(_HELLO_BYTES))
            rank = int(hello["rank"])
            if not secrets.compare_digest(str(hello["token"]), self.token) or rank in self._lines:
                line.close()
                return
            _notice_lost_machines(line)
            self._lines[rank] = line
            self._selector.register(line, selectors.EVENT_READ, rank)

    def _hear(self, rank: int) -> None:
        try:
            words = self._lines[rank].recv(2**16)
        except OSError:
            words = b""
        if not words or rank in self._done:
            self._selector.unregister(self._lines[rank])
            if rank not in self._done:
                self._note(f"{self._names[rank]} has ended{self._how(rank)}")
            return
        said = words.decode(errors="replace").strip()
        if said == "done":
            self._done.add(rank)
        else:
            self._selector.unregister(self._lines[rank])
            self._note(f"{self._names[rank]}: {json.loads(said)}", is_sentence=True)

    def _how(self, rank: int) -> str:
        child = self._children.get(rank)
        if child is None:
            return ""
        with suppress(subprocess.TimeoutExpired):
            code = child.wait(timeout=2)
            return f" ({_how_it_ended(code)})"
        return ""

    def _note(self, what: str, *, is_sentence: bool = False) -> None:
        if self._problem:
            return  # the first one has brought the others down
        end = "" if is_sentence else f", so training stopped. {self._how_to_go_on}"
        self._problem, self._since_s = f"{what}{end}", time.monotonic()
        self._has_problem.set()

    def _tell_of_trouble(self) -> None:
        for after_s, do in list(self._on_trouble):
            if self._problem and time.monotonic() > self._since_s + after_s:
                self._on_trouble.remove((after_s, do))
                do(self._problem)


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
    last_words : str
        Written to standard error when the first process is gone without a word; may be empty.

    Raises
    ------
    OSError
        If the hub cannot be reached.
    """

    def __init__(self, address: tuple[str, int], token: str, rank: int, last_words: str) -> None:
        self._socket = socket.create_connection(address, timeout=_PATIENCE_S)
        self._socket.settimeout(None)
        _notice_lost_machines(self._socket)
        self._last_words = last_words
        self._is_over = threading.Event()
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

    def _send(self, message: Any) -> None:
        with suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _listen(self) -> None:
        word = b""
        with suppress(OSError):
            word = self._socket.recv(64)
        if word.startswith(b"over"):
            self._is_over.set()
            time.sleep(_HOST_GONE_S)  # as long as this process may take to its own end
            _leave("")
        _leave("" if word else self._last_words)


def _leave(words: str) -> NoReturn:
    """End this process, whatever it does: it waits for others that are gone."""
    if words:
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()
    os._exit(1)


def _how_it_ended(code: int) -> str:
    if code == -9:
        return "killed by signal 9, as systems do when memory runs out"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _notice_lost_machines(line: socket.socket) -> None:
    """Have the system ask the other one whether it is there, every few seconds."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
    options = {
        idle: _HOST_GONE_S // 3,
        getattr(socket, "TCP_KEEPINTVL", None): _HOST_GONE_S // 6,
        getattr(socket, "TCP_KEEPCNT", None): 4,
        # What was sent and never acknowledged stops the questions, so it has a limit of its own.
        getattr(socket, "TCP_USER_TIMEOUT", None): _HOST_GONE_S * 1000,
    }
    for option, value in options.items():
        if option is not None:
            line.setsockopt(socket.IPPROTO_TCP, option, value)
