"""Who holds a lock: machine, process and when it began; and whether that one lives still.

Numbers of processes come round again, so that a number alone does not say which is meant.
"""

from __future__ import annotations

import json
import os
import socket
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Holder", "read_holder", "state_of"]

_MOST_BYTES = 4096
_LONGEST = 300


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
        When the process began, as its machine tells; empty where it does not tell.
    token : str
        Of this one time.
    since : str
        When it took the lock, in ISO 8601; empty in a lock of an older version.
    inode : int
        Of the lock's file.
    is_copy : bool
        Whether the file that told it has another number, as that of a copied folder has.
    """

    host: str
    pid: int
    started: str
    token: str
    since: str = ""
    inode: int = 0
    is_copy: bool = False

    @classmethod
    def me(cls) -> Holder:
        """Return this process as a holder from now on."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        started = _facts_of(os.getpid())[1] or ""
        return cls(machine(), os.getpid(), started, uuid.uuid4().hex, now)

    @property
    def is_here(self) -> bool:
        """Whether its processes can be seen from this one."""
        return self.host == machine()

    def as_json(self) -> bytes:
        """Return the text of a lock's file."""
        facts = asdict(self)
        del facts["is_copy"]
        return json.dumps(facts).encode()

    def __str__(self) -> str:
        """Return ``process 4711 on klinik7, since 2026-11-22 07:36``."""
        text = f"process {self.pid} on {(self.host.split() or ['another machine'])[0]}"
        try:
            moment = datetime.fromisoformat(self.since).astimezone()
        except (ValueError, OverflowError, OSError):
            return text
        stopped = ", which has been stopped (Ctrl-Z)" if state_of(self) == "stopped" else ""
        return f"{text}, since {moment:%Y-%m-%d %H:%M}{stopped}"


def read_holder(path: Path) -> Holder | None:
    """Return who holds a lock; None where it has gone, does not say."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with path.open("rb") as stream:
            found = json.loads(stream.read(_MOST_BYTES))
            inode = os.fstat(stream.fileno()).st_ino
        holder = Holder(**found)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    if not _is_sound(holder):
        return None
    return replace(holder, is_copy=holder.inode not in (0, inode))


def state_of(holder: Holder) -> str:
    """Return ``alive``, ``stopped`` or ``ended``; empty where it cannot be seen from here."""
    if not holder.is_here or holder.is_copy:
        return ""
    state, started = _facts_of(holder.pid)
    if started is None or not holder.started:
        return ""
    if started != holder.started:
        return "ended"
    return "stopped" if state in ("T", "t") else "alive"


def machine() -> str:
    """Return what tells apart machines, and containers of one machine."""
    parts = [socket.gethostname()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            is_link = os.path.islink(place)
            parts.append(os.readlink(place) if is_link else Path(place).read_text().strip())
    return " ".join(parts)


def _is_sound(holder: Holder) -> bool:
    """Whether a file that anybody may have written holds what a lock holds."""
    texts = (holder.host, holder.started, holder.token, holder.since)
    return (
        all(isinstance(t, str) and len(t) <= _LONGEST and t.isprintable() for t in texts)
        and isinstance(holder.pid, int)
        and isinstance(holder.inode, int)
        and 0 < holder.pid < 2**32
    )


def _facts_of(pid: int) -> tuple[str, str | None]:
    """Return state and beginning of a process of this machine.

    The beginning is empty where it has ended, None where the machine does not tell.
    """
    if not Path("/proc/self/stat").exists():
        return "", None
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return "", ""
    except OSError:
        return "", None
    # Behind the name, which may hold any sign: state is the first field, the start the twentieth.
    fields = text.rpartition(")")[2].split()
    return fields[0], "" if fields[0] in "ZX" else fields[19]
