"""A cohort table as a spreadsheet shows it: its cells as text, before they mean anything.

What the window shows and lets the user change. A sheet is never changed: every change is a new one,
and the file that it came from is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from napari_dre_slcl.cohort.header import header_place
from napari_dre_slcl.cohort.problems import Findings, Problem
from napari_dre_slcl.cohort.read_table import read_table
from napari_dre_slcl.errors import CohortError

__all__ = ["Sheet", "new_sheet", "read_sheet"]


@dataclass(frozen=True)
class Sheet:
    """The cells of a table.

    Parameters
    ----------
    table : Path
        Where it was read from; for a table that was never saved, where it would lie. Relative
        paths in its cells begin at the folder of this.
    cells : tuple of tuple of str
        All rows as a spreadsheet numbers them: ``cells[0]`` is row 1.
    place : int
        Which of them is the header.
    is_saved : bool
        Whether ``table`` is a file that holds this.
    read_problems, read_warnings : tuple of Problem
        What was found while the file was read.
    """

    table: Path
    cells: tuple[tuple[str, ...], ...]
    place: int = 0
    is_saved: bool = True
    read_problems: tuple[Problem, ...] = ()
    read_warnings: tuple[Problem, ...] = ()

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order; some may be empty or stand twice."""
        header = self.cells[self.place] if self.cells else ()
        width = max((len(row) for row in self.cells[self.place :]), default=0)
        names = [name.strip().strip("\ufeff") for name in header]
        return (*names, *[""] * (width - len(names)))

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Spreadsheet numbers of the rows under the header that are not empty."""
        body = enumerate(self.cells[self.place + 1 :], start=self.place + 2)
        return tuple(number for number, row in body if any(cell.strip() for cell in row))

    def cell(self, number: int, column: int) -> str:
        """Return the text of a cell, empty where the row ends before it.

        Parameters
        ----------
        number : int
            Row as a spreadsheet numbers it.
        column : int
            Place among `columns`.
        """
        row = self.cells[number - 1]
        return row[column] if column < len(row) else ""

    def column(self, name: str) -> int | None:
        """Return the first place of a column with this name, None where there is none."""
        return self.columns.index(name) if name in self.columns else None

    def with_cells(self, changed: Mapping[tuple[int, int], str]) -> Sheet:
        """Return the sheet with other text in some cells.

        Parameters
        ----------
        changed : mapping of str
            Text by row number and place of the column.
        """
        cells = list(self.cells)
        for (number, column), text in changed.items():
            row = list(cells[number - 1])
            row += [""] * (column + 1 - len(row))
            row[column] = text
            cells[number - 1] = tuple(row)
        return replace(self, cells=tuple(cells), is_saved=False)

    def with_column(self, name: str, texts: Sequence[str]) -> Sheet:
        """Return the sheet with one column more, at the right.

        Parameters
        ----------
        name : str
            Of the column.
        texts : sequence of str
            A cell for each of `numbers`.

        Raises
        ------
        CohortError
            If there is such a column, or the name is empty.
        """
        if not name.strip() or name.strip() in self.columns:
            why = f"has a column '{name.strip()}' already" if name.strip() else "needs a name"
            raise CohortError(f"The new column of '{self.table.name}' {why}. Write another name.")
        width = len(self.columns)
        added = dict(zip(self.numbers, texts, strict=True)) | {self.place + 1: name.strip()}
        return self.with_cells({(number, width): text for number, text in added.items()})

    def findings(self) -> Findings:
        """Return what was found while the file was read, to add to."""
        return Findings(list(self.read_problems), list(self.read_warnings))


def read_sheet(table: Path) -> Sheet:
    """Read the cells of a table.

    Raises
    ------
    CohortError
        If there is no such file, or it is no table.
    """
    findings = Findings()
    # No path can hold a zero byte, and no table means one.
    cells = tuple(
        tuple(cell.replace("\0", "\ufffd") for cell in row) for row in read_table(table, findings)
    )
    place = header_place(cells) if cells else 0
    return Sheet(
        table,
        cells,
        place,
        read_problems=tuple(findings.problems),
        read_warnings=tuple(findings.warnings),
    )


def new_sheet(table: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> Sheet:
    """Return a sheet that is in no file yet.

    Parameters
    ----------
    table : Path
        Where it would lie: relative paths begin at its folder.
    columns : sequence of str
        The header.
    rows : iterable of mapping of str
        Cells by column; those that are missing are empty.
    """
    body = (tuple(row.get(column, "") for column in columns) for row in rows)
    return Sheet(table, (tuple(columns), *body), is_saved=False)
