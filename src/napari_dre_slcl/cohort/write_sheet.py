"""Save a sheet as a new CSV file: paths keep their meaning, and no file is written over."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path, PureWindowsPath

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cohort.cell_values import clean_value
from napari_dre_slcl.cohort.sheet import Sheet
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.untrusted import defuse

__all__ = ["free_table", "write_sheet"]

_ENDINGS = (".csv", ".txt", "")
_PATH_COLUMNS = ("slide", "features")


def write_sheet(sheet: Sheet, out: Path, may_replace: bool = False) -> Path:
    """Write the header and the rows that are not empty.

    Relative paths in ``slide`` and ``features`` are written as seen from the new file, where its
    folder is another one.

    Parameters
    ----------
    sheet : Sheet
        What to write.
    out : Path
        CSV file to write.
    may_replace : bool, default False
        Whether another table may be written over; the one that the sheet came from never is.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    CohortError
        If there is such a file, its name is that of another kind of file, or it cannot be written.
    """
    if out.suffix.lower() not in _ENDINGS:
        raise CohortError(f"The table is written as CSV. Give '{out.name}' a name with .csv.")
    is_original = os.path.realpath(out) == os.path.realpath(sheet.table)
    if os.path.exists(out) and (is_original or not may_replace):
        why = "is the table that this was read from" if is_original else "exists already"
        raise CohortError(f"'{out}' {why}; it is not written over. Give another name.")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([defuse(name) for name in sheet.columns])
    moved = _moved_columns(sheet, out)
    for number in sheet.numbers:
        row = [sheet.cell(number, place) for place in range(len(sheet.columns))]
        for place in moved:
            row[place] = _seen_from(row[place], sheet.table.parent, out.parent)
        writer.writerow([defuse(cell) for cell in row])
    try:
        write_text(out, text.getvalue())
    except OSError as error:
        raise CohortError(f"'{out}' cannot be written: {error.strerror}.") from error
    return out


def free_table(table: Path, ending: str) -> Path:
    """Return a name beside a table that no file has, such as ``cohort-changed.csv``.

    Parameters
    ----------
    table : Path
        The table.
    ending : str
        What to add to its name.
    """
    free, number = table.with_name(f"{table.stem}-{ending}.csv"), 2
    while free.exists():
        free = table.with_name(f"{table.stem}-{ending}-{number}.csv")
        number += 1
    return free


def _moved_columns(sheet: Sheet, out: Path) -> list[int]:
    if os.path.realpath(out.parent) == os.path.realpath(sheet.table.parent):
        return []
    return [place for place, name in enumerate(sheet.columns) if name in _PATH_COLUMNS]


def _seen_from(text: str, home: Path, new_home: Path) -> str:
    """Return a path of a cell as seen from another folder; absolute paths stay."""
    given = clean_value(text)
    if not given or Path(given).is_absolute() or PureWindowsPath(given).is_absolute():
        return text
    if "\\" in given and not os.path.exists(home / given):  # written on Windows
        given = PureWindowsPath(given).as_posix()
    try:
        return Path(os.path.relpath(home / given, new_home)).as_posix()
    except ValueError:  # on another drive
        return str(home / given)
