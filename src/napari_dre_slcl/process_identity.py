"""Tells this machine from others, and a process from a later one of the same number."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

__all__ = ["is_gone", "machine", "process_tag", "start_of"]


def machine() -> str:
    """Return what tells apart machines, and containers of one machine; the host's name first."""
    parts = [socket.gethostname()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            is_link = os.path.islink(place)
            parts.append(os.readlink(place) if is_link else Path(place).read_text().strip())
    return " ".join(parts)


def start_of(pid: int) -> str | None:
    """Return when a process of this machine began; empty if it has ended, None if not known."""
    if not Path("/proc/self/stat").exists():
        return None
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    except OSError:
        return None
    # Behind the name, which may hold any sign: state is the first field, the start the twentieth.
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]


def process_tag() -> str:
    """Return a short word for this process that fits into the name of a file."""
    return _tag_of(os.getpid())


def is_gone(tag: str) -> bool | None:
    """Return whether the process of a `process_tag` has ended; None where that cannot be seen."""
    place, pid, started = [*tag.split("-"), "", ""][:3]
    if place != _machine_word() or not pid.isdecimal():
        return None
    now = start_of(int(pid))
    return None if now is None else now != started


@lru_cache(maxsize=4)  # by process: a forked one is another
def _tag_of(pid: int) -> str:
    return f"{_machine_word()}-{pid}-{start_of(pid) or ''}"


@lru_cache(maxsize=1)
def _machine_word() -> str:
    return hashlib.sha256(machine().encode()).hexdigest()[:8]
