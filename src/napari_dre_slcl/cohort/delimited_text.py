"""Tables as text: commas, semicolons, tabs or bars between the cells."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain

from napari_dre_slcl.cohort.header import header_place
from napari_dre_slcl.cohort.problems import Findings
from napari_dre_slcl.cohort.rows import ROLE_COLUMNS
from napari_dre_slcl.untrusted import restore

__all__ = ["SEPARATORS", "read_delimited"]

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_EXCEL_HINT = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)
_ODD_BYTE = re.compile("[\ud800-\udfff]")
_END = "\x1eend of table\x1e"
_LONGEST_CELL = 2**24


def read_delimited(content: bytes, findings: Findings) -> list[list[str]]:
    """Return the cells of a text table, row by row, empty rows too.

    Parameters
    ----------
    content : bytes
        UTF-8 with or without a byte order mark, or UTF-16 with one.
    findings : Findings
        Is told of cells in another encoding, of rows that are too long or too short, of another
        separator, and of a quotation mark that is never closed.
    """
    text = _decode(content, findings)
    hint = _EXCEL_HINT.match(text)
    if hint:  # a line for Excel only, which does not count it as a row either
        text = text[hint.end() :]
    separator = hint[1] if hint else _separator(text)
    rows = _parse(text, separator, findings)
    _check_encoding(rows, findings)
    _check_lengths(rows, separator, findings)
    return [[restore(_ODD_BYTE.sub("\ufffd", cell)) for cell in row] for row in rows]


def _decode(content: bytes, findings: Findings) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            findings.refuse("its UTF-16 text is damaged; save it as CSV UTF-8")
            return content.decode("utf-16", errors="replace")
    # Odd bytes stay recognisable, so that they can be told with their rows.
    return content.decode("utf-8-sig", errors="surrogateescape")


def _separator(text: str) -> str:
    """Return the separator under which the first lines hold most names that we know."""
    lines = [line for line in text[: 2**16].splitlines() if line.strip()][:3]

    def names_found(separator: str) -> tuple[int, int]:
        rows = [[cell.strip().lower() for cell in row] for row in _rows(lines, separator)]
        known = max((len(set(row) & set(ROLE_COLUMNS)) for row in rows), default=0)
        return known, len(rows[0]) if rows else 0

    return max(SEPARATORS, key=names_found)


def _rows(lines: Iterable[str], separator: str) -> Iterable[list[str]]:
    return csv.reader(lines, delimiter=separator)


def _parse(text: str, separator: str, findings: Findings) -> list[list[str]]:
    # The standard limit of 131,072 characters would cut off long reports with an error.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    lines = io.StringIO(text, newline="").readlines()
    if lines and lines[-1][-1] not in "\r\n":
        lines[-1] += "\n"
    rows: list[list[str]] = []
    while True:
        n_whole_lines = _read_to_open_quote(lines, separator, rows, findings)
        if n_whole_lines == len(lines):
            return rows
        findings.refuse("a quotation mark is opened here and never closed", [len(rows) + 1])
        # What follows is read as if the mark were not there, so that its problems are told too.
        lines = [lines[n_whole_lines].replace('"', ""), *lines[n_whole_lines + 1 :]]


def _read_to_open_quote(
    lines: Sequence[str], separator: str, rows: list[list[str]], findings: Findings
) -> int:
    """Add rows up to one with an open quotation mark; return how many lines they take."""
    n_lines = 0
    reader = csv.reader(chain(lines, [f"{_END}\n"]), delimiter=separator)
    try:
        for row in reader:
            if reader.line_num > len(lines):
                return len(lines) if row == [_END] else n_lines
            rows.append(row)
            n_lines = reader.line_num
    except csv.Error as error:
        findings.refuse(f"it cannot be read on from here ({error})", [len(rows) + 1])
    return len(lines)


def _check_encoding(rows: Sequence[Sequence[str]], findings: Findings) -> None:
    found: dict[int, list[int]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        for place, cell in enumerate(row):
            if _ODD_BYTE.search(cell):
                found[place].append(number)
    for place, numbers in found.items():
        match = _ODD_BYTE.search(rows[numbers[0] - 1][place])
        byte = f"0x{ord(match[0]) & 0xFF:02X}" if match else "?"
        name = rows[0][place].strip() if place < len(rows[0]) else str(place + 1)
        findings.refuse(
            f"the column '{_ODD_BYTE.sub('?', name)}' has characters that are not UTF-8 (byte "
            f"{byte}); save the table as 'CSV UTF-8'",
            numbers,
            name,
        )


def _check_lengths(rows: list[list[str]], separator: str, findings: Findings) -> None:
    """Tell rows of another length; those with another separator are split by that one."""
    header = rows[header_place(rows)] if rows else []
    width = len(header)
    grouped: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        has_more = any(cell.strip() for cell in row[width:])
        is_short = len(row) < width and any(cell.strip() for cell in row)
        if row is header or not (has_more or is_short):
            continue
        other, rows[number - 1] = _split_otherwise(row, width, separator)
        grouped[_why_length(len(row), width, separator, other)].append(number)
    for what, numbers in grouped.items():
        findings.refuse(what, numbers)


def _split_otherwise(row: list[str], width: int, separator: str) -> tuple[str, list[str]]:
    """Return the separator that makes a row as long as the header, empty for none."""
    line = " ".join(separator.join(row).splitlines())
    for other in SEPARATORS:
        if other != separator and other in line:
            (cells,) = _rows([line], other)
            if len(cells) == width:
                return other, cells
    return "", row


def _why_length(length: int, width: int, separator: str, other: str) -> str:
    if other:
        usual = SEPARATORS.get(separator, f"'{separator}'")
        return f"cells are separated by {SEPARATORS[other]}, those of the header by {usual}"
    hint = (
        "write text that holds a separator between quotation marks"
        if length > width
        else "write a separator for each empty cell too"
    )
    return f"{length} cells where the header has {width}; {hint}"
