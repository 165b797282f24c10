"""A lock is a file that says who holds it; its holder touches it as long as it lives.

Kernel locks are not used for what takes long: network drives keep them badly, and nobody could
tell whose they are.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.atomic_file import (
    aside_of,
    create_once,
    delete_left_over,
    set_mark,
    write_bytes,
)
from napari_dre_slcl.locks.holder import Holder, read_holder, state_of

__all__ = [
    "HEIR",
    "RUN_LOCK",
    "SILENT_S",
    "BusyError",
    "Hold",
    "delete_dead_locks",
    "hold",
    "who_holds",
]

RUN_LOCK = ".lock"
"""Of a run folder, within it."""

HEIR = f".{RUN_LOCK}."
"""Begins the names of files that are there while a lock is taken over."""

# A lock may go, or be taken over, just when it is looked at.
_TRIES, _BETWEEN_TRIES_S = 10, 0.02
_TOUCH_EVERY_S = 5.0
SILENT_S = 60.0
"""A holder that has not touched its lock for so long has ended, or has been stopped."""
_SURELY_SILENT_S = 600.0


class BusyError(Exception):
    """Another process has the lock.

    Parameters
    ----------
    holder : Holder or None
        Which; None where that cannot be told.
    """

    def __init__(self, holder: Holder | None) -> None:
        super().__init__(str(holder or "another process"))
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Hold:
    """A lock that this process holds.

    Parameters
    ----------
    path : Path
        The lock's file.
    me : Holder
        This process, this time.
    ended : Holder or None
        Who had it before and ended without a word.
    """

    path: Path
    me: Holder
    ended: Holder | None = None

    def check(self) -> None:
        """Raise `BusyError` where the lock is another one's by now; take it back where it is free.

        To be called before something is written.
        """
        if self.is_mine():
            return
        with suppress(OSError):
            if not self.path.exists() and create_once(self.path, self.me.as_json()):
                return
        if not self.is_mine():
            raise BusyError(read_holder(self.path))

    def is_mine(self) -> bool:
        """Return whether the file names this process, this time."""
        found = read_holder(self.path)
        return found is not None and found.token == self.me.token


@contextmanager
def hold(path: Path, silent_s: float = SILENT_S, *, keeps_if_stopped: bool) -> Iterator[Hold]:
    """Hold a lock for the length of a block.

    Parameters
    ----------
    path : Path
        The lock's file; its folder exists.
    silent_s : float
        As long may another holder be silent.
    keeps_if_stopped : bool
        Whether a holder of this machine that was stopped (Ctrl-Z) keeps the lock until it ends.

    Yields
    ------
    Hold
        Says whose it was, and whether it is this one's still.

    Raises
    ------
    BusyError
        If a living process holds it.
    OSError
        If the folder cannot be written.
    """
    mine = _taken(path, Holder.me(path), silent_s, keeps_if_stopped)
    over = threading.Event()
    toucher = threading.Thread(target=_touch, args=(mine, over), daemon=True, name="dre-slcl-lock")
    toucher.start()
    try:
        yield mine
    finally:
        over.set()
        toucher.join()
        with suppress(OSError):
            if mine.is_mine():
                path.unlink(missing_ok=True)


def who_holds(path: Path) -> Holder | None:
    """Return the living holder of a lock; None where nobody has it. Writes nothing, never raises.

    A holder on another machine counts as living until its lock is silent for ten minutes, since
    the clocks of two machines may differ.
    """
    holder = read_holder(path)
    state = state_of(holder) if holder is not None else "ended"
    if holder is None or state == "ended":
        return None
    try:
        age_s = abs(time.time() - path.stat().st_mtime)
    except OSError:
        return None
    # Who copies a run wants to go on with the copy; its lock is touched by nobody.
    is_heard = age_s < (SILENT_S if holder.is_copy else _SURELY_SILENT_S)
    return holder if state or is_heard else None


def delete_dead_locks(folder: Path) -> None:
    """Delete the locks in a folder whose processes have ended, and what they left half-made."""
    with suppress(OSError):
        delete_left_over(folder)
        for path in (*folder.glob("*.lock"), *folder.glob(f"{HEIR}*")):
            holder = read_holder(path)
            if holder is not None and state_of(holder) == "ended":
                _inherit(path, holder, Holder.me(path), path.unlink)


def _taken(path: Path, me: Holder, silent_s: float, keeps_if_stopped: bool) -> Hold:
    """Take a lock that is free, or whose holder has ended."""
    for _ in range(_TRIES):
        if create_once(path, me.as_json()):
            return Hold(path, me)
        holder = read_holder(path)
        if holder is None and not path.exists():
            continue
        if _lives(path, holder, silent_s, keeps_if_stopped):
            raise BusyError(holder)
        if _inherit(path, holder, me, lambda: write_bytes(path, me.as_json())):
            return Hold(path, me, None if holder is None or holder.is_copy else holder)
        time.sleep(_BETWEEN_TRIES_S)
    raise BusyError(who_holds(path))


def _inherit(path: Path, dead: Holder | None, me: Holder, act: Callable[[], None]) -> bool:
    """Do something with the lock of an ended holder, if no other process does so.

    Nobody but the one who has made the file of the heir may change the lock of that holder, so
    that nobody takes away what a quicker one has put in its place.
    """
    word = _word(path) if dead is None else dead.token
    heir = path.with_name(f"{HEIR}{hashlib.sha256(word.encode()).hexdigest()[:32]}")
    if not create_once(heir, me.as_json()):
        other = read_holder(heir)
        if not _lives(heir, other, SILENT_S, keeps_if_stopped=True):  # it was killed while it took
            heir.unlink(missing_ok=True)
        return False
    try:
        found = read_holder(path)
        is_same = found == dead if dead is not None else word != "" and _word(path) == word
        if is_same:
            act()
    finally:
        heir.unlink(missing_ok=True)
    return is_same


def _word(path: Path) -> str:
    """Return what tells a lock that says nothing from the next one."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return ""
    return f"{facts.st_ino} {facts.st_mtime_ns} {facts.st_size}"


def _lives(path: Path, holder: Holder | None, silent_s: float, keeps_if_stopped: bool) -> bool:
    """Return whether a holder goes on; one that lives but was stopped may count as ended."""
    state = state_of(holder) if holder is not None else ""
    if state == "ended":
        return False
    if state and keeps_if_stopped:
        return True
    try:
        touched = path.stat().st_mtime
        clock = aside_of(path)
        set_mark(clock)  # by the clock of the drive, whatever those of the machines say
        now = clock.stat().st_mtime
        clock.unlink(missing_ok=True)
    except FileNotFoundError:
        return False
    return abs(now - touched) < silent_s


def _touch(mine: Hold, over: threading.Event) -> None:
    while not over.wait(_TOUCH_EVERY_S):
        if mine.is_mine():  # else a stopped one would keep another's lock alive
            with suppress(OSError):
                os.utime(mine.path)
