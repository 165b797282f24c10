"""Who holds a lock: machine, process and when it began; and whether that one lives still.

Numbers of processes come round again, so that a number alone does not say which is meant.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from napari_dre_slcl.process_identity import machine, start_of

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
    place : str
        A word for where the lock lies.
    is_copy : bool
        Whether the file that told it lies elsewhere, as that of a copied folder does.
    """

    host: str
    pid: int
    started: str
    token: str
    since: str = ""
    place: str = ""
    is_copy: bool = False

    @classmethod
    def me(cls, path: Path) -> Holder:
        """Return this process as the holder of a lock from now on."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        pid, token = os.getpid(), uuid.uuid4().hex
        return cls(machine(), pid, start_of(pid) or "", token, now, _word_of(path))

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
        holder = Holder(**found)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    if not _is_sound(holder):
        return None
    return replace(holder, is_copy=holder.place not in ("", _word_of(path)))


def state_of(holder: Holder) -> str:
    """Return ``alive``, ``stopped`` or ``ended``; empty where it cannot be seen from here."""
    if not holder.is_here:
        return ""
    started = start_of(holder.pid)
    if started is None or not holder.started:
        return ""
    if started != holder.started:
        return "ended"
    if holder.is_copy:
        return ""  # it lives, but may hold another folder
    return "stopped" if _is_stopped(holder.pid) else "alive"


def _is_sound(holder: Holder) -> bool:
    """Whether a file that anybody may have written holds what a lock holds."""
    texts = (holder.host, holder.started, holder.token, holder.since, holder.place)
    return (
        all(isinstance(t, str) and len(t) <= _LONGEST and t.isprintable() for t in texts)
        and isinstance(holder.pid, int)
        and 0 < holder.pid < 2**32
    )


def _is_stopped(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] in (["T"], ["t"])  # behind the name


def _word_of(path: Path) -> str:
    """Return a word for where a lock lies; not the path, which may hold names of people."""
    place = os.fsencode(path.parent.resolve())
    return hashlib.sha256(place).hexdigest()[:16]
