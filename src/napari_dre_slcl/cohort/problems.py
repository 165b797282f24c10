"""What is wrong or doubtful in a cohort table, and in which rows of a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from napari_dre_slcl.errors import CohortError

__all__ = ["CohortTableError", "Findings", "Problem", "in_order", "rows_text", "short_text"]

_SHOWN_PROBLEMS = 10
_SHOWN_RANGES = 12


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a cohort table, or that is worth a look.

    Parameters
    ----------
    what : str
        What it is, without the rows.
    rows : tuple of int
        Where, as a spreadsheet numbers rows: the header is row 1. Empty for the table as a whole.
    column : str
        The column that it is about, empty for none.
    is_absent : bool
        A slide is not there or cannot be opened; the others may be used without it.
    """

    what: str
    rows: tuple[int, ...] = ()
    column: str = ""
    is_absent: bool = False

    @property
    def sentence(self) -> str:
        """What and where, such as ``row 3: the patient_id is empty``."""
        return f"{rows_text(self.rows)}: {self.what}" if self.rows else self.what

    @property
    def neutral(self) -> str:
        """Where, without what: for logs, where what stands there may name a patient."""
        where = rows_text(self.rows) if self.rows else "the table"
        return (
            f"{where}: the column '{self.column}' should be looked at; 'dre-slcl cohort check' "
            "says why"
        )


@dataclass(slots=True)
class Findings:
    """Collects what is found while a table is read.

    Parameters
    ----------
    problems : list of Problem
        Why the table is refused.
    warnings : list of Problem
        What is used as it is, but should be looked at.
    """

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def refuse(
        self, what: str, rows: Iterable[int] = (), column: str = "", is_absent: bool = False
    ) -> None:
        """Add a problem."""
        self.problems.append(Problem(what, tuple(rows), column, is_absent))

    def warn(self, what: str, rows: Iterable[int] = (), column: str = "") -> None:
        """Add a warning."""
        self.warnings.append(Problem(what, tuple(rows), column))


class CohortTableError(CohortError):
    """A cohort table with problems: its sentence names the first ten and counts the others.

    Parameters
    ----------
    table : Path
        The table.
    problems : sequence of Problem
        At least one.

    Attributes
    ----------
    problems : tuple of Problem
        All of them.
    """

    def __init__(self, table: Path, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        shown = "; ".join(problem.sentence for problem in self.problems[:_SHOWN_PROBLEMS])
        rest = len(self.problems) - _SHOWN_PROBLEMS
        more = f"; and {rest} more, listed by 'dre-slcl cohort check'" if rest > 0 else ""
        super().__init__(
            f"The cohort table '{table}' cannot be used: {shown}{more}. Correct the table."
        )


def in_order(found: Iterable[Problem]) -> tuple[Problem, ...]:
    """Join what is said of several rows, and order it by the first of them."""
    rows: dict[tuple[str, str, bool], set[int]] = {}
    for problem in found:
        kind = (problem.what, problem.column, problem.is_absent)
        rows.setdefault(kind, set()).update(problem.rows)
    joined = [
        Problem(what, tuple(sorted(own)), column, is_absent)
        for (what, column, is_absent), own in rows.items()
    ]
    return tuple(sorted(joined, key=lambda problem: problem.rows[:1]))


def short_text(text: object, longest: int = 200) -> str:
    """Return text that fits into a sentence: one line, cut after so many letters."""
    line = " ".join(str(text).split())
    return line if len(line) <= longest else f"{line[:longest]}…"


def rows_text(rows: Sequence[int]) -> str:
    """Return rows as text: ``row 2``, ``rows 2-5, 9``; many are cut and counted."""
    ordered = sorted(set(rows))
    starts = [ordered[0]] + [after for before, after in pairwise(ordered) if after > before + 1]
    ends = [before for before, after in pairwise(ordered) if after > before + 1] + [ordered[-1]]
    ranges = [
        str(start) if start == end else f"{start}-{end}"
        for start, end in zip(starts, ends, strict=True)
    ]
    shown = ", ".join(ranges[:_SHOWN_RANGES])
    if len(ranges) > _SHOWN_RANGES:
        shown += f" and {sum(row > ends[_SHOWN_RANGES - 1] for row in ordered)} more"
    return f"row {shown}" if len(ordered) == 1 else f"rows {shown}"
