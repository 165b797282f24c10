"""Which cells of the cohort table carry a finding, and what it says. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from napari_dre_slcl.cohort.problems import Problem
from napari_dre_slcl.cohort.sheet import Sheet

__all__ = ["CellMarks", "mark_cells"]

WHOLE_ROW = -1
_MOST_SENTENCES = 4


@dataclass(frozen=True, slots=True)
class CellMarks:
    """Findings by place.

    Parameters
    ----------
    problems, warnings : dict of list of str
        Sentences by row number and place of the column; `WHOLE_ROW` where it is about the row.
    rows : set of int
        Numbers of all rows with a finding.
    """

    problems: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    warnings: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    rows: frozenset[int] = frozenset()

    def sentences(self, number: int, column: int) -> str:
        """Return what is said of a cell, a line for each finding."""
        place = (number, column)
        found = [f"⚠ {text}" for text in self.problems.get(place, ())]
        found += [f"Look: {text}" for text in self.warnings.get(place, ())]
        more = len(found) - _MOST_SENTENCES
        return "\n".join(found[:_MOST_SENTENCES]) + (f"\nand {more} more" if more > 0 else "")


def mark_cells(sheet: Sheet, problems: Sequence[Problem], warnings: Sequence[Problem]) -> CellMarks:
    """Put findings where they belong.

    Parameters
    ----------
    sheet : Sheet
        Knows where its columns are.
    problems, warnings : sequence of Problem
        As `check_sheet` finds them.
    """
    marks = CellMarks({}, {}, frozenset(n for found in (*problems, *warnings) for n in found.rows))
    for found, places in ((problems, marks.problems), (warnings, marks.warnings)):
        for problem in found:
            place = sheet.column(problem.column) if problem.column else None
            for number in problem.rows:
                key = (number, WHOLE_ROW if place is None else place)
                places.setdefault(key, []).append(problem.what)
    return marks
