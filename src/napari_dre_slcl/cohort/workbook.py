"""Excel workbooks (.xlsx) as rows of text."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from napari_dre_slcl.cohort.cell_text import cell_text
from napari_dre_slcl.cohort.plain_workbook import check_workbook
from napari_dre_slcl.cohort.problems import Findings
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.untrusted import UntrustedError, restore

__all__ = ["read_workbook"]

_BROKEN = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    EOFError,
    IndexError,
    OverflowError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    ParseError,
)


def read_workbook(table: Path, findings: Findings) -> list[list[str]]:
    """Return the cells of the sheet that holds the cohort.

    That is the first sheet with a cell ``patient_id``, or else the first one.

    Parameters
    ----------
    table : Path
        An .xlsx file.
    findings : Findings
        Is told of merged cells, of formulas without a value, and of other sheets.

    Raises
    ------
    CohortError
        If the file is no workbook or damaged, or openpyxl is not installed.
    """
    _check(table)
    formulas = _load(table, has_values=False)
    sheet = _cohort_sheet(formulas.worksheets, table)
    filled = [other.title for other in formulas.worksheets if _is_filled(other)]
    others = [f"'{title}'" for title in filled if title != sheet.title]
    if others:
        findings.warn(f"the sheet '{sheet.title}' is read, not {', '.join(others)}")
    for merged in sheet.merged_cells.ranges:
        findings.refuse(
            f"the cells {merged.coord} are merged, so that all but the first are empty; unmerge "
            "and fill them",
            range(merged.min_row, merged.max_row + 1),
        )
    computed = [cell.coordinate for row in sheet for cell in row if cell.data_type == "f"]
    if computed:
        sheet = _load(table, has_values=True)[sheet.title]
        lost = [sheet[place] for place in computed if sheet[place].value is None]
        if lost:
            findings.refuse(
                f"formulas without a value (such as {lost[0].coordinate}); open the workbook once "
                "in a spreadsheet and save it",
                [cell.row for cell in lost],
            )
    return [[_text(value) for value in row] for row in sheet.values]


def _check(table: Path) -> None:
    try:
        check_workbook(table)
    except UntrustedError as error:
        raise CohortError(
            f"The workbook '{table}' is not read: {error}. Save the sheet with the slides again "
            "as .xlsx or as CSV UTF-8."
        ) from error
    except _BROKEN as error:
        raise _damaged(table) from error


def _damaged(table: Path) -> CohortError:
    return CohortError(
        f"The cohort table '{table}' is no Excel workbook (.xlsx) or is damaged. Save it "
        "again as .xlsx or as CSV UTF-8."
    )


def _load(table: Path, has_values: bool) -> Any:
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise CohortError(
            f"The cohort table '{table}' is an Excel workbook, and reading it needs openpyxl. Run: "
            "pip install 'napari-dre-slcl[tables]', or save the table as CSV UTF-8."
        ) from error
    try:
        # Opened here, since openpyxl goes by the name of a file, not by what is in it.
        with table.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of colours and menus that it leaves out
            return load_workbook(stream, data_only=has_values)
    except (*_BROKEN, InvalidFileException) as error:
        raise _damaged(table) from error


def _cohort_sheet(sheets: list[Any], table: Path) -> Any:
    filled = [sheet for sheet in sheets if _is_filled(sheet)]
    for sheet in filled:
        first_rows = sheet.iter_rows(max_row=5, values_only=True)
        if any(_text(value).strip() == "patient_id" for row in first_rows for value in row):
            return sheet
    if not filled:
        raise CohortError(f"The workbook '{table}' is empty. Give a table with one row per slide.")
    return filled[0]


def _is_filled(sheet: Any) -> bool:
    return any(value is not None for row in sheet.values for value in row)


def _text(value: object) -> str:
    return "" if value is None else restore(cell_text(value))
