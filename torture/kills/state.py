"""What a folder holds: which of its files were touched, and whether two folders say the same."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["content", "marks", "touched"]

# When something was made, by whom, and how long it took.
_PASSING = frozenset(
    (
        *("created", "predicted", "pid", "started", "finished", "seconds", "total_seconds"),
        *("marks", "shards", "data"),
    )
)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00|Z)?")
_DURATION = re.compile(r"\b\d+(\.\d+)? (s|min|h)\b")
# Shards are named after the files that they are made of, and these after the time.
_NAMES = ((re.compile(r"shards/[0-9a-f]{20}/"), "shards/*/"), (re.compile(r"data-\d+/"), "data-*/"))
_LOGS = ("events.jsonl", "log.txt")

Mark = tuple[int, int, int, str]


def marks(paths: Iterable[Path]) -> dict[Path, Mark]:
    """Return number, time, size and hash of files; one that was written anew has others."""
    found = {}
    for path in paths:
        facts = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        found[path] = (facts.st_ino, facts.st_mtime_ns, facts.st_size, digest)
    return found


def touched(before: dict[Path, Mark]) -> list[str]:
    """Say which files have gone, were changed, or were written a second time."""
    problems = []
    for path, mark in before.items():
        if not path.is_file():
            problems.append(f"{path.name} is lost")
            continue
        now = marks([path])[path]
        if now[3] != mark[3]:
            problems.append(f"{path.name} was changed")
        elif now != mark:
            problems.append(f"{path.name} was made a second time")
    return problems


def content(folder: Path) -> dict[str, str]:
    """Return a hash of what each file says by its name in the folder, hidden ones as well.

    Left out is when something was made and how long it took. Of a log only counts that each of its
    lines is whole: a training that was resumed has told more.
    """
    found = {}
    for place, folders, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            found[_plain_name(path.relative_to(folder))] = _hash_of(path)
        if not folders and not names:
            found[f"{_plain_name(Path(place).relative_to(folder))}/"] = "empty"
    return found


def _plain_name(path: Path) -> str:
    name = path.as_posix()
    for pattern, plain in _NAMES:
        name = pattern.sub(plain, name)
    return name


def _hash_of(path: Path) -> str:
    return hashlib.sha256(_said(path)).hexdigest()


def _said(path: Path) -> bytes:
    if path.name in _LOGS:
        return _whole_lines(path)
    if path.suffix == ".npz":
        return _arrays(path)
    if path.suffix == ".json":
        return json.dumps(_lasting(json.loads(path.read_bytes()))).encode()
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        return table.drop(columns=["mtime_ns"], errors="ignore").to_csv().encode()
    if path.suffix in (".md", ".html", ".csv", ".toml"):
        return _DURATION.sub("", _TIME.sub("", path.read_text(encoding="utf-8"))).encode()
    return path.read_bytes()


def _whole_lines(path: Path) -> bytes:
    """Say whether a log ends in a half line, or holds one before its end, which no start mends."""
    text = path.read_text(encoding="utf-8")
    *lines, rest = text.split("\n")
    if path.suffix == ".jsonl" and not all(map(_is_json, lines)):
        return b"a broken line"
    return b"half a line" if rest else b"whole"


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _arrays(path: Path) -> bytes:
    said = io.BytesIO()
    with np.load(path, allow_pickle=False) as stored:
        for name in sorted(stored):
            array = stored[name]
            said.write(f"{name} {array.dtype} {array.shape}".encode())
            if name == "header":
                said.write(json.dumps(_lasting(json.loads(str(array)))).encode())
            else:
                said.write(np.ascontiguousarray(array).tobytes())
    return said.getvalue()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if key not in _PASSING}
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    return value
