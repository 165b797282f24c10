"""One file of published splits: which form it has, and which slide it puts on which side.

Knows names of slides as text, not which slides there are.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.untrusted import UntrustedError, read_bytes, restore

__all__ = ["read_splits"]

_MOST_BYTES = 2**28
_SHOWN = 20
_ID_COLUMNS = ("slide_id", "slide", "image_id", "patient_id", "case_id")
_SIDES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "": "",
}


def read_splits(path: Path) -> list[tuple[str, list[tuple[str, str]]]]:
    """Read the splits of one file.

    Returns
    -------
    list of (str, list of (str, str))
        Name of each split, and in it the name of each slide with train, val, test or nothing.

    Raises
    ------
    CohortError
        If it is no split file; names it.
    """
    columns = _read_columns(path)
    named = {column.lower(): column for column in columns}
    lists = [column for name, column in named.items() if _SIDES.get(name)]
    if {"train", "test"} <= {_SIDES[column.lower()] for column in lists}:
        return [(path.stem, _from_lists(path, columns, lists))]
    key = next((named[name] for name in _ID_COLUMNS if name in named), None)
    if key is None:
        raise CohortError(
            f"The split file '{path}' has neither a column slide_id nor the columns train and "
            f"test; it has {_quoted(list(columns)) or 'nothing'}."
        )
    roles = [name for name, cells in columns.items() if name != key and _holds_roles(cells)]
    if not roles:
        raise CohortError(
            f"The split file '{path}' has no column that says train, val or test for each slide. "
            "Call it 'role'."
        )
    sides = {role: [_SIDES[cell.lower()] for cell in columns[role]] for role in roles}
    return [
        (path.stem if len(roles) == 1 else role, list(zip(columns[key], sides[role], strict=True)))
        for role in roles
    ]


def _read_columns(path: Path) -> dict[str, list[str]]:
    """Return the cells under each heading; rows that end early are filled up."""
    try:
        lines = read_bytes(path, _MOST_BYTES).decode("utf-8-sig").splitlines()
    except OSError as error:
        raise CohortError(f"The split file '{path}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CohortError(
            f"The split file '{path}' is not text in UTF-8. Save it as CSV UTF-8."
        ) from error
    except UntrustedError as error:
        raise CohortError(f"The split file '{path}' is not read: {error}.") from error
    separator = max(",\t;", key=lines[0].count) if lines else ","
    try:
        rows = [
            [restore(cell.strip()) for cell in row]
            for row in csv.reader(lines, delimiter=separator)
        ]
    except csv.Error as error:
        raise CohortError(f"The split file '{path}' is damaged: {error}.") from error
    heads = rows[0] if rows else []
    columns: dict[str, list[str]] = {head: [] for head in heads}
    if len(columns) < len(heads):
        raise CohortError(f"The split file '{path}' has a heading twice; it has {_quoted(heads)}.")
    for number, row in enumerate(rows[1:], start=2):
        if any(row[len(heads) :]):
            raise CohortError(
                f"Row {number} of the split file '{path}' has more cells than there are headings."
            )
        if any(row):
            for place, head in enumerate(heads):
                columns[head].append(row[place] if place < len(row) else "")
    return columns


def _holds_roles(cells: Sequence[str]) -> bool:
    values = {cell.lower() for cell in cells}
    return values <= _SIDES.keys() and "train" in {_SIDES[value] for value in values}


def _from_lists(
    path: Path, columns: Mapping[str, list[str]], names: Sequence[str]
) -> list[tuple[str, str]]:
    """Read the names under train, val and test, or True and False beside the names."""
    values = {value.lower() for name in names for value in columns[name]} - {""}
    if values <= {"true", "false"}:
        first = next((column for column in columns if column not in names), None)
        if first is None:
            raise CohortError(f"The split file '{path}' says True and False but names no slides.")
        return [
            (slide, _SIDES[name.lower()])
            for name in names
            for slide, value in zip(columns[first], columns[name], strict=True)
            if value.lower() == "true"
        ]
    return [(slide, _SIDES[name.lower()]) for name in names for slide in columns[name] if slide]


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name[:60]}'" for name in names[:_SHOWN]) + more
