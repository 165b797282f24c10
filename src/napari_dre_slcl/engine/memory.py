"""How much main memory this process may still take: what is free, and what its group allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["available_memory"]


def available_memory(
    proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return the bytes of main memory that may still be taken without swapping.

    Parameters
    ----------
    proc : Path
        Where the kernel tells of memory and processes.
    groups : Path
        Where control groups are mounted, by which containers and cluster schedulers limit jobs.

    Returns
    -------
    int or None
        None on systems that tell neither.
    """
    rooms = [*_free_in_machine(proc / "meminfo"), *_free_in_groups(proc, groups)]
    return max(0, min(rooms)) if rooms else None


def _free_in_machine(meminfo: Path) -> Iterator[int]:
    for line in _lines(meminfo):
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024


def _free_in_groups(proc: Path, groups: Path) -> Iterator[int]:
    """Yield the room of this process's group and of each group that holds it."""
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mount, names = groups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            mount = groups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inner = mount / path.lstrip("/")
        for folder in (inner, *inner.parents):
            if folder.is_relative_to(mount):
                yield from _room(folder, *names)


def _room(folder: Path, limit: str, used: str, cached: str) -> Iterator[int]:
    limits, uses = list(_lines(folder / limit)), list(_lines(folder / used))
    if not limits or not uses or not limits[0].isdigit():  # "max": no limit
        return
    # File pages that were not touched lately are given back at once when memory is asked for.
    given_back = sum(
        int(line.split()[1]) for line in _lines(folder / "memory.stat") if line.split()[0] == cached
    )
    yield int(limits[0]) - int(uses[0]) + given_back


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
