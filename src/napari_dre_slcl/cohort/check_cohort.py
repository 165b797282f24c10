"""Everything that is wrong or doubtful in a cohort table, found in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.cohort.across_rows import check_across_rows
from napari_dre_slcl.cohort.feature_store import feature_file
from napari_dre_slcl.cohort.header import check_header, quoted
from napari_dre_slcl.cohort.label_values import (
    check_dates,
    check_errors,
    check_gaps,
    check_spelling,
    is_class_like,
)
from napari_dre_slcl.cohort.left_out import read_left_out
from napari_dre_slcl.cohort.problems import Findings, Problem, in_order
from napari_dre_slcl.cohort.rows import ROLE_COLUMNS, Cohort, SlideRow
from napari_dre_slcl.cohort.sheet import Sheet, read_sheet
from napari_dre_slcl.cohort.slide_rows import RowReader
from napari_dre_slcl.slide.remote import is_remote

__all__ = ["CohortCheck", "check_cohort", "check_sheet"]

_FREE_TEXT = ("slide", "features", "report", "mpp")
"""Roles whose values are not compared letter by letter."""
_NAMES = ("slide_id", "patient_id", "site", "split")


@dataclass(frozen=True, slots=True)
class CohortCheck:
    """What a table holds and what was found in it.

    Parameters
    ----------
    cohort : Cohort
        The slides as far as they can be told; to be used only where there is no problem.
    problems, warnings : tuple of Problem
        Why it is refused, and what should be looked at; by row.
    """

    cohort: Cohort
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def check_cohort(
    table: Path, needs_slides: bool = True, features: Path | None = None
) -> CohortCheck:
    """Read a cohort table and find all that is wrong with it.

    Parameters
    ----------
    table : Path
        CSV, TSV, semicolons, Excel (.xlsx) or Parquet.
    needs_slides : bool, default True
        False where feature files of another folder stand for the slides.
    features : Path, optional
        That folder, to see whether each slide has a file in it.

    Raises
    ------
    CohortError
        If there is no such file, or it is no table.
    """
    return check_sheet(read_sheet(table), needs_slides, features)


def check_sheet(
    sheet: Sheet, needs_slides: bool = True, features: Path | None = None
) -> CohortCheck:
    """Find all that is wrong with the cells of a table, which may be in no file yet.

    Parameters
    ----------
    sheet : Sheet
        The cells.
    needs_slides, features
        As for `check_cohort`.
    """
    table, findings = sheet.table, sheet.findings()
    cells: Sequence[Sequence[str]] = sheet.cells
    if not any(cell.strip() for row in cells for cell in row):
        findings.refuse("it is empty; give a header line and one row per slide")
        cells = [[]]
    place, columns = check_header(cells, findings)
    numbered = _filled_rows(cells, place, findings)
    needs = _needed_file(columns, needs_slides and features is None)
    _check_columns(columns, needs, findings)
    if not numbered:
        findings.refuse("it has no rows; add one row per slide")
    rows, labels = _read_rows(table, columns, numbered, needs, findings)
    check_across_rows(rows, needs, findings)
    if features is not None:
        _check_feature_files(rows, features, findings)
    problems, warnings = in_order(findings.problems), in_order(findings.warnings)
    return CohortCheck(Cohort(table, rows, labels, warnings), problems, warnings)


def _read_rows(
    table: Path,
    columns: Mapping[str, int],
    numbered: Mapping[int, Sequence[str]],
    needs: str,
    findings: Findings,
) -> tuple[tuple[SlideRow, ...], tuple[str, ...]]:
    """Return the slides and the names of the label columns."""
    labels = tuple(column for column in columns if column not in ROLE_COLUMNS)
    values = {
        column: {number: _cell(row, where) for number, row in numbered.items()}
        for column, where in columns.items()
    }
    reader = RowReader(table.parent, labels, needs, findings)
    rows = tuple(
        reader.read(number, {column: cells[number] for column, cells in values.items()})
        for number in numbered
    )
    _check_values(values, findings)
    return rows, labels


def _filled_rows(
    cells: Sequence[Sequence[str]], place: int, findings: Findings
) -> dict[int, Sequence[str]]:
    """Return the rows under the header by their number, without empty ones."""
    body = dict(enumerate(cells[place + 1 :], start=place + 2))
    filled = {number: row for number, row in body.items() if any(cell.strip() for cell in row)}
    last = max(filled, default=0)
    empty = [number for number in body if number not in filled and number < last]
    if empty:
        findings.warn("empty rows are skipped", empty)
    return filled


def _needed_file(columns: Mapping[str, int], needs_files: bool) -> str:
    if not needs_files:
        return ""
    return "features" if "features" in columns and "slide" not in columns else "slide"


def _check_columns(columns: Mapping[str, int], needs: str, findings: Findings) -> None:
    has_name = needs or "slide_id" in columns or "features" in columns
    wanted = ["patient_id", *([needs] if needs else [] if has_name else ["slide"])]
    for column in wanted:
        if column not in columns:
            findings.refuse(
                f"it has no column '{column}', only {quoted(list(columns)) or 'none'}", (), column
            )


def _cell(row: Sequence[str], where: int) -> str:
    return row[where] if where < len(row) else ""


def _check_values(values: Mapping[str, Mapping[int, str]], findings: Findings) -> None:
    for column, cells in values.items():
        check_errors(column, cells, findings)
        if column in _FREE_TEXT:
            continue
        is_label = column not in _NAMES
        check_dates(column, cells, column in _NAMES, findings)
        if column in ("site", "patient_id"):
            check_spelling(column, cells, True, findings)
        elif is_label:
            check_spelling(column, cells, is_class_like(cells), findings)
            check_gaps(column, cells, findings)


def _check_feature_files(rows: Sequence[SlideRow], folder: Path, findings: Findings) -> None:
    if not is_remote(folder) and not folder.is_dir():
        findings.refuse(f"the folder of feature files '{folder}' does not exist")
        return
    listed = read_left_out(folder)
    for row in rows:
        names = [row.slide_id, *([row.path.stem] if row.path else [])]
        if not row.slide_id or feature_file(folder, names) is not None:
            continue
        if row.slide_id in listed:
            findings.warn(
                f"the slide takes no part, it could not be embedded: {listed[row.slide_id]}",
                [row.number],
                "slide_id",
            )
        else:
            findings.refuse(
                f"'{folder}' has no feature file '{row.slide_id}.h5'", [row.number], "slide_id"
            )
