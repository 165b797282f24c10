"""One line of the table: a fault, how often it was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Row", "as_markdown"]

_HEADER = ("fault", "tried", "survived", "lost", "seed", "note")


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one fault.

    Parameters
    ----------
    fault : str
        What was done, in a few words.
    tried : int
        How often.
    survived : int
        How often the state was whole afterwards and the work came to its right end, or bad input
        was answered in a sentence.
    lost : int
        Finished things that were lost, changed, done a second time, or let out.
    seed : int
        Repeats it.
    note : str
        What else is worth knowing, such as counts by outcome.
    """

    fault: str
    tried: int
    survived: int
    lost: int
    seed: int
    note: str = ""

    @property
    def is_passed(self) -> bool:
        """Whether it was tried, and nothing was lost."""
        return self.tried > 0 and self.survived == self.tried and self.lost == 0

    def cells(self) -> tuple[str, ...]:
        """Return the line's cells, in the order of the header."""
        counts = (f"{number:,}" for number in (self.tried, self.survived, self.lost))
        return (self.fault, *counts, str(self.seed), self.note)


def as_markdown(rows: Iterable[Row]) -> str:
    """Return a table of rows, those that failed marked in bold."""
    lines = [" | ".join(_HEADER), " | ".join("---" for _ in _HEADER)]
    for row in rows:
        cells = row.cells() if row.is_passed else (f"**{row.fault}: FAILED**", *row.cells()[1:])
        lines.append(" | ".join(cell.replace("|", "\\|") for cell in cells))
    return "".join(f"| {line} |\n" for line in lines)
