"""One process at a time makes one output, on any machine that sees the folder.

A lock is a file beside the outputs that says who holds it; its holder touches it as long as it
lives. Kernel locks are not used: network drives keep them badly, and nobody could tell whose they
are.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["LOCK_FOLDER", "BusyError", "Holder", "held"]

LOCK_FOLDER = ".locks"

_TOUCH_EVERY_S = 5.0
_SILENT_S = 60.0
"""A holder that has not touched its lock for so long has ended, or has been stopped."""


class BusyError(Exception):
    """Another process makes this output just now; its text says which."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Parameters
    ----------
    host : str
        Machine, and the name space of its process numbers.
    pid : int
        Process.
    started : str
        When the process began, as its machine tells; numbers of processes come round again.
    token : str
        Of this one time.
    """

    host: str
    pid: int
    started: str
    token: str

    @classmethod
    def me(cls) -> Holder:
        """Return this process as a holder."""
        return cls(_machine(), os.getpid(), _start_of(os.getpid()) or "", uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.split()[0]}"


@contextmanager
def held(output: Path, silent_s: float = _SILENT_S) -> Iterator[Callable[[], None]]:
    """Hold the lock of an output for the length of a block.

    Parameters
    ----------
    output : Path
        The file that is to be made; its folder exists.
    silent_s : float
        As long may another holder be silent.

    Yields
    ------
    callable
        Raises `BusyError` where the lock has fallen to another one meanwhile; to be called before
        the output is written.

    Raises
    ------
    BusyError
        If a living process holds it.
    OSError
        If the folder cannot be written.
    """
    path = output.parent / LOCK_FOLDER / f"{output.name}.lock"
    path.parent.mkdir(exist_ok=True)
    me = Holder.me()
    if not _make(path, me):
        _take_from_the_dead(path, silent_s)
        if not _make(path, me):
            raise BusyError(_sentence(output, _read(path)))
    ended = threading.Event()
    toucher = threading.Thread(target=_touch, args=(path, me, ended), daemon=True)
    toucher.start()

    def check() -> None:
        holder = _read(path)
        if holder != me:
            raise BusyError(_sentence(output, holder))

    try:
        yield check
    finally:
        ended.set()
        toucher.join()
        if _read(path) == me:
            path.unlink(missing_ok=True)


def _sentence(output: Path, holder: Holder | None) -> str:
    return f"'{output.name}' is being made by {holder or 'another process'}."


def _aside(path: Path) -> Path:
    """Return a free name beside a lock; without the lock's own, which may be as long as can be."""
    return path.with_name(f".{uuid.uuid4().hex}")


def _make(path: Path, me: Holder) -> bool:
    """Make the lock whole or not at all: a link appears at once, on network drives as well."""
    aside = _aside(path)
    try:
        aside.write_text(json.dumps(asdict(me)), encoding="utf-8")
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
        except PermissionError:  # a drive that knows no links
            with path.open("x", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(me)))
    except FileExistsError:
        return False
    finally:
        aside.unlink(missing_ok=True)
    return True


def _take_from_the_dead(path: Path, silent_s: float) -> None:
    """Remove a lock whose holder has ended.

    It is moved away first and looked at again: somebody quicker may have put his own there.
    """
    holder = _read(path)
    if _lives(path, holder, silent_s):
        return
    aside = _aside(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _read(aside) != holder:
        with suppress(OSError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)


def _lives(path: Path, holder: Holder | None, silent_s: float) -> bool:
    """Return whether a holder goes on; one that lives but was stopped (Ctrl-Z) does not."""
    if holder is not None and holder.host == _machine():
        started = _start_of(holder.pid)
        if started is not None and started != holder.started:
            return False
    try:
        touched = path.stat().st_mtime
        clock = _aside(path)
        clock.touch()  # by the clock of the drive, whatever those of the machines say
        now = clock.stat().st_mtime
        clock.unlink(missing_ok=True)
    except FileNotFoundError:
        return False
    return now - touched < silent_s


def _read(path: Path) -> Holder | None:
    """Return who holds a lock, None where it has gone or does not say."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _touch(path: Path, me: Holder, ended: threading.Event) -> None:
    while not ended.wait(_TOUCH_EVERY_S):
        if _read(path) == me:  # else a stopped process would keep the lock of its successor alive
            with suppress(OSError):
                os.utime(path)


def _machine() -> str:
    """Return what tells apart machines, and containers of one machine."""
    parts = [socket.gethostname()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            is_link = os.path.islink(place)
            parts.append(os.readlink(place) if is_link else Path(place).read_text().strip())
    return " ".join(parts)


def _start_of(pid: int) -> str | None:
    """Return when a process of this machine began; empty if it has ended, None if not known."""
    if not Path("/proc/self/stat").exists():
        return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return ""
    except OSError:
        return None
    # Behind the name, which may hold any sign: state is the first field, the start the twentieth.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
