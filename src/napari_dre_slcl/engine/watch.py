"""Lines from each process of a training to the first one: who has ended, and why.

A line is a TCP connection that nothing but a few words travels on. When a process is killed its
system closes the line at once; when a machine is gone, the system of the other end finds out within
seconds. So a process that computes, waits or holds still for hours is never taken for dead.
"""

from __future__ import annotations

import json
import secrets
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from napari_dre_slcl.errors import JobError

__all__ = ["HOST_GONE_S", "Hub", "listen", "notice_lost_machines"]

_PATIENCE_S = 30.0
HOST_GONE_S = 12
"""How long a machine may be silent; its system answers, not the process."""
_HELLO_BYTES = 256
_LOOK_EVERY_S = 0.2


class Hub:
    """The first process's end of all lines.

    Parameters
    ----------
    names : mapping of int to str
        Rank -> what sentences call it, of all the others.
    how_to_go_on : callable
        Returns what ends the sentences about what went wrong.
    is_local : bool
        All processes are on this machine: nobody else can connect.

    Attributes
    ----------
    port : int
        Where it listens.
    token : str
        What a process must know to be listened to.
    """

    def __init__(
        self, names: Mapping[int, str], how_to_go_on: Callable[[], str], *, is_local: bool
    ) -> None:
        self._names = dict(names)
        self._how_to_go_on = how_to_go_on
        self._children: Mapping[int, subprocess.Popen[bytes]] = {}
        self._listener = listen(0, is_local=is_local)
        self.port = int(self._listener.getsockname()[1])
        self.token = secrets.token_hex(16)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._lines: dict[int, socket.socket] = {}
        self._heard: dict[int, bytes] = {}
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

    def wait_for_all(self, check: Callable[[], str]) -> None:
        """Wait until every process has its line.

        Parameters
        ----------
        check : callable
            Asked often; a sentence from it ends the wait.

        Raises
        ------
        JobError
            If one does not come, or has ended.
        """
        give_up_s = time.monotonic() + _PATIENCE_S
        while missing := sorted(self._names.keys() - self._lines.keys()):
            if problem := self._problem or check():
                raise JobError(problem)
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

    def left_behind(self) -> str:
        """Return the sentence for a training that is left while others do not answer."""
        return f"Stopped at once, while others did not answer. {self._how_to_go_on()}"

    def close(self, patience_s: float) -> bool:
        """Tell the others that all is over, and let go of them.

        Parameters
        ----------
        patience_s : float
            Wait so long until they have come to their own end; else they end at once.

        Returns
        -------
        bool
            Whether all have come to their own end.
        """
        give_up_s = time.monotonic() + patience_s
        while self._done < self._names.keys() and time.monotonic() < give_up_s:
            if self._problem:
                break
            time.sleep(_LOOK_EVERY_S / 4)
        is_well = not self._problem and self._done == self._names.keys()
        self._is_closed.set()
        self._thread.join()
        self.dismiss(is_well=is_well)
        for line in (*self._lines.values(), self._listener):
            line.close()
        self._selector.close()
        return is_well

    def dismiss(self, *, is_well: bool) -> None:
        """Tell the others that all is over, as `close` does, but wait for nothing."""
        for line in self._lines.values():
            with suppress(OSError):
                line.sendall(b"over\n" if is_well else b"failed\n")

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
            hello = json.loads(_first_line(line))
            rank = int(hello["rank"])
            is_known = secrets.compare_digest(str(hello["token"]), self.token)
            if not is_known or rank not in self._names or rank in self._lines:
                line.close()
                return
            notice_lost_machines(line)
            self._heard[rank] = b""
            self._lines[rank] = line
            self._selector.register(line, selectors.EVENT_READ, rank)

    def _hear(self, rank: int) -> None:
        try:
            words = self._lines[rank].recv(2**16)
        except OSError:
            words = b""
        self._heard[rank] += words
        if not words:
            self._selector.unregister(self._lines[rank])
            if rank not in self._done:
                self._note(
                    f"{self._names[rank]} has ended{self._how(rank)}, so training stopped. "
                    f"{self._how_to_go_on()}"
                )
        while b"\n" in self._heard[rank]:
            said, self._heard[rank] = self._heard[rank].split(b"\n", 1)
            self._done.add(rank)  # whatever it says, it says at its end
            if said != b"done":
                self._note(f"{self._names[rank]}: {json.loads(said)}")

    def _how(self, rank: int) -> str:
        child = self._children.get(rank)
        if child is None:
            return ""
        with suppress(subprocess.TimeoutExpired):
            code = child.wait(timeout=2)
            return f" ({_how_it_ended(code)})"
        return ""

    def _note(self, sentence: str) -> None:
        if self._problem:
            return  # the first one has brought the others down
        self._problem, self._since_s = sentence, time.monotonic()
        self._has_problem.set()

    def _tell_of_trouble(self) -> None:
        for after_s, do in list(self._on_trouble):
            if self._problem and time.monotonic() > self._since_s + after_s:
                self._on_trouble.remove((after_s, do))
                do(self._problem)


def _first_line(line: socket.socket) -> bytes:
    """Read no further than the first line."""
    read = b""
    while not read.endswith(b"\n") and len(read) < _HELLO_BYTES:
        byte = line.recv(1)
        if not byte:
            break
        read += byte
    return read


def _how_it_ended(code: int) -> str:
    if code == -9:
        return "killed by signal 9, as systems do when memory runs out"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def listen(port: int, *, is_local: bool) -> socket.socket:
    """Return a socket that listens: to this machine alone, or to all, of either kind of address."""
    if is_local:
        return socket.create_server(("127.0.0.1", port), backlog=512)
    if socket.has_dualstack_ipv6():
        family = socket.AF_INET6
        return socket.create_server(("", port), family=family, backlog=512, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=512)


def notice_lost_machines(line: socket.socket) -> None:
    """Have the system ask the other one whether it is there, every few seconds."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
    options = {
        idle: HOST_GONE_S // 3,
        getattr(socket, "TCP_KEEPINTVL", None): HOST_GONE_S // 6,
        getattr(socket, "TCP_KEEPCNT", None): 4,
        # What was sent and never acknowledged stops the questions, so it has a limit of its own.
        getattr(socket, "TCP_USER_TIMEOUT", None): HOST_GONE_S * 1000,
    }
    for option, value in options.items():
        if option is not None:
            line.setsockopt(socket.IPPROTO_TCP, option, value)
