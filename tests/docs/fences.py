"""The fenced blocks of a page, each with what the comment before it says of running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *([\w+-]*)")
_GOES_ON = re.compile(r" *(\d+\.|[-*]|!!!|\?\?\?|===) | {2,}")
_MARK = re.compile(r"^\s*<!-- not run(?: \(([^)]+)\))?: (.+?) -->\s*$")


@dataclass(frozen=True, slots=True)
class Fence:
    """One block.

    `not_run` is the reason why it is not run, empty where it is. With `phrases` it holds for lines
    that have one of them, otherwise for the whole block.
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str = ""
    phrases: tuple[str, ...] = ()

    def is_run(self, command: str) -> bool:
        """Say whether this command of the block is to be run."""
        if not self.not_run:
            return True
        return bool(self.phrases) and not any(phrase in command for phrase in self.phrases)

    def is_run_in_parts(self) -> bool:
        """Say whether something of the block is to be run."""
        return not self.not_run or bool(self.phrases)

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def fences(page: Path) -> Iterator[Fence]:
    """Yield the blocks of a page; one that is never closed is an error."""
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        opened = _FENCE.match(lines[number])
        if opened is None:
            number += 1
            continue
        indent, marks, language = opened.groups()
        start = number + 1
        number = start
        while lines[number].strip() != marks:
            number += 1
            if number == len(lines):
                raise AssertionError(f"{page.name}:{start}: the block is never closed")
        body = "\n".join(line.removeprefix(indent) for line in lines[start:number])
        reason, phrases = _mark_before(lines[: start - 1])
        yield Fence(page, start, language, body, reason, phrases)
        number += 1


def _mark_before(lines: list[str]) -> tuple[str, tuple[str, ...]]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    mark = _MARK.match(lines[-1]) if lines else None
    if mark is None:
        return "", ()
    phrases = tuple(part.strip() for part in (mark[1] or "").split(",") if part.strip())
    return mark[2], phrases


def indented_code(page: Path) -> list[str]:
    """Return the first lines of blocks that are code by four spaces alone."""
    found, is_inside, before = [], False, ""
    last = "\n"
    for line in page.read_text(encoding="utf-8").splitlines():
        is_inside ^= bool(_FENCE.match(line))
        starts = line.startswith("    ") and not last.strip()
        if starts and not is_inside and not _GOES_ON.match(before):
            found.append(line)
        last, before = line, line if line.strip() else before
    return found
