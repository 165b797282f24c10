"""Reads a record of calls: was each file on disk before it got its name, and named only once.

What is written through a map of a file is seen by no call, and so not held here.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Sequence", "read_sequence"]

_ASIDE = re.compile(r"(^|/)\.[^/]*\.part(/|$)")
# Logs that grow, rows of the memory bank, and locks: a checkpoint or their holder says what counts.
_IN_PLACE = (
    "*/events.jsonl",
    "*/log.txt",
    "*/losses.csv",
    "*/bank/gen-*/*.npy",
    "*.lock",
    "*/.locks/*",
    "*/.seen-*",
    "*/.building.jsonl",
    "*/checkpoints/.part-*",
    "*/pause",
    "*/cancel",
    "*/.export-*.jsonl",
)


@dataclass(slots=True)
class Sequence:
    """What came of a record.

    Parameters
    ----------
    named : Counter of str
        How often each path got a file or folder by a rename or link.
    problems : list of str
        Where the order was wrong.
    """

    named: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _dirty: set[str] = field(default_factory=set)
    _unflushed: set[str] = field(default_factory=set)
    _files: set[str] = field(default_factory=set)

    def write(self, path: str) -> None:
        """Note that a file was written or cut."""
        self._dirty.add(path)
        self._files.add(path)
        if not _ASIDE.search(path) and not _is_in_place(path):
            self.problems.append(f"'{path}' is written under its own name")

    def flush(self, path: str) -> None:
        """Note that a file, or the names in a folder, are on disk."""
        self._dirty.discard(path)
        self._unflushed = {name for name in self._unflushed if _parent(name) != path}

    def remove(self, path: str) -> None:
        """Note that a name has gone."""
        if self._unflushed - {path} and not _ASIDE.search(path) and not _is_in_place(path):
            waiting = sorted(self._unflushed)[0]
            self.problems.append(f"'{path}' is deleted before the name '{waiting}' is on disk")
        self._dirty.discard(path)
        self._unflushed.discard(path)

    def rename(self, old: str, new: str, *, is_link: bool = False) -> None:
        """Note that a file or folder has got a name."""
        if not _ASIDE.search(new) and not _is_in_place(new):
            for path in sorted(_within(old, self._dirty)):
                self.problems.append(f"'{new}' got its name before '{path}' was on disk")
            for path in sorted(_within(old, self._unflushed) - {old}):
                self.problems.append(f"'{new}' got its name before the name '{path}' was on disk")
        files = {_moved(path, old, new) for path in _within(old, self._files)}
        if not is_link:
            self._dirty = {_moved(path, old, new) for path in self._dirty}
            self._unflushed = {_moved(path, old, new) for path in self._unflushed}
        self._files |= files
        self.named.update(files | {new})
        self._unflushed.add(new)

    def end(self) -> None:
        """Note that the process has ended: all names must be on disk."""
        for path in sorted(self._unflushed):
            if not _ASIDE.search(path) and not _is_in_place(path):
                self.problems.append(f"the name '{path}' was never flushed")


def read_sequence(record: Path, below: Path) -> Sequence:
    """Read the record of a process that has ended; paths are told from a folder on."""
    found = Sequence()
    if record.exists():
        for line in record.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            call, path, other = line.split("\t")
            _add(found, call, _told(path, below), _told(other, below))
    found.end()
    return found


def _add(found: Sequence, call: str, path: str, other: str) -> None:
    if call in ("write", "truncate"):
        found.write(path)
    elif call == "flush":
        found.flush(path)
    elif call == "remove":
        found.remove(path)
    elif call in ("rename", "link"):
        found.rename(path, other, is_link=call == "link")
    elif call == "exchange":
        found.rename(path, other, is_link=True)


def _told(path: str, below: Path) -> str:
    return "" if path == str(below) else path.removeprefix(f"{below}/")


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _within(folder: str, paths: Iterable[str]) -> set[str]:
    return {path for path in paths if path == folder or path.startswith(f"{folder}/")}


def _moved(path: str, old: str, new: str) -> str:
    return new + path[len(old) :] if path == old or path.startswith(f"{old}/") else path


def _is_in_place(path: str) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in _IN_PLACE)
