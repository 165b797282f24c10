"""One thing that was looked at: how it is, and what mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "State", "ok", "problem", "summary", "text_lines", "warning"]

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing.

    Parameters
    ----------
    about : str
        The thing, in a word or two.
    state : {"ok", "warning", "problem"}
        A problem keeps something from working; with a warning it works, but not as well.
    says : str
        How it is.
    mend : str
        What to do about it; empty where nothing needs doing.
    """

    about: str
    state: State
    says: str
    mend: str = ""


def ok(about: str, says: str) -> Finding:
    """Return a finding that needs nothing done."""
    return Finding(about, "ok", says)


def warning(about: str, says: str, mend: str) -> Finding:
    """Return a finding that one can live with."""
    return Finding(about, "warning", says, mend)


def problem(about: str, says: str, mend: str) -> Finding:
    """Return a finding that keeps something from working."""
    return Finding(about, "problem", says, mend)


def text_lines(findings: Iterable[Finding]) -> Iterator[tuple[State, str]]:
    """Yield the lines that a terminal shows, each with the state of its finding."""
    for found in findings:
        yield found.state, f"{found.state:<8} {found.about}: {found.says}"
        if found.mend:
            yield found.state, f"{'':<8} To mend it: {found.mend}"


def summary(findings: Iterable[Finding]) -> str:
    """Return the last sentence: how many problems and warnings there are."""
    counts = Counter(found.state for found in findings)
    if not counts["problem"] and not counts["warning"]:
        return f"All {counts['ok']} things looked at are in order."
    return (
        f"Problems: {counts['problem']}. Warnings: {counts['warning']}. In order: {counts['ok']}."
    )
