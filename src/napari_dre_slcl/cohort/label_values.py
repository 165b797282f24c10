"""Whether the values of a column are spelt one way, and are what their author wrote.

Spelling matters where values are classes: 'LUAD', 'luad' and 'LUAD ' would be three.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import lru_cache

from napari_dre_slcl.cohort.cell_values import (
    ERROR_VALUES,
    clean_value,
    is_full_date,
    is_short_date,
    without_fraction,
)
from napari_dre_slcl.cohort.problems import Findings

__all__ = ["check_dates", "check_errors", "check_gaps", "check_spelling", "is_class_like"]

_MOST_CLASSES = 10
_FEWEST_OF_COMMON = 5
_LONGEST_VALUE = 60
_CACHED_VALUES = 2**14
_INVISIBLE = re.compile("[\u200b\u200c\u200d\ufeff\u00ad]")
_UNKNOWN = frozenset(
    {"?", "-", ".", "unknown", "not available", "[not available]", "n.a.", "missing", "#n/v", "nd"}
)

_Cells = Mapping[int, str]
"""Raw cells of a column by row number."""


def is_class_like(cells: _Cells) -> bool:
    """Whether a column has few different values: 1 to 10, spelling aside."""
    keys = {_key(raw) for raw in cells.values()} - {""}
    return 0 < len(keys) <= _MOST_CLASSES


def check_spelling(column: str, cells: _Cells, is_strict: bool, findings: Findings) -> None:
    """Find values that differ in spaces and capitals only.

    Parameters
    ----------
    column : str
        Its name.
    cells : mapping of str
        Raw cells by row number.
    is_strict : bool
        Whether that is a problem, not a warning.
    findings : Findings
        Is told each odd spelling with its rows.
    """
    spellings: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, raw in cells.items():
        if clean_value(raw):
            spellings[_key(raw)][_spelling(raw)].append(number)
    tell = findings.refuse if is_strict else findings.warn
    for found in spellings.values():
        usual = min(found, key=lambda text: (text != text.strip(), -len(found[text]), text))
        for text, numbers in found.items():
            if text != usual:
                tell(
                    f"{_quoted(text)} in the column '{column}' is {_quoted(usual)} in other rows; "
                    "write it one way",
                    numbers,
                    column,
                )
    _warn_of_spaces(column, spellings, findings)


def _warn_of_spaces(
    column: str, spellings: Mapping[str, Mapping[str, list[int]]], findings: Findings
) -> None:
    """Tell of values that always have spaces around them while others have none."""
    padded = {
        text: numbers
        for found in spellings.values()
        for text, numbers in found.items()
        if len(found) == 1 and text != text.strip()
    }
    if 0 < len(padded) < len(spellings):  # else the whole column is set apart by spaces
        findings.warn(
            f"{_quoted(next(iter(padded)))} in the column '{column}' is read without the spaces "
            "around it",
            sorted(number for numbers in padded.values() for number in numbers),
            column,
        )


def check_dates(column: str, cells: _Cells, is_strict: bool, findings: Findings) -> None:
    """Find values that a spreadsheet has turned into dates.

    A date without a day or a year always is one. Whole dates are where other values are none, or
    where few dates repeat as classes do, unless the column's name says that it holds dates.

    Parameters
    ----------
    column : str
        Its name.
    cells : mapping of str
        Raw cells by row number.
    is_strict : bool
        Whether a date is a problem even where other values are many and different.
    findings : Findings
        Is told the rows.
    """
    if "date" in column.casefold() or "datum" in column.casefold():
        return
    values = {number: clean_value(raw) for number, raw in cells.items() if clean_value(raw)}
    dates = {
        number: text for number, text in values.items() if is_full_date(text) or is_short_date(text)
    }
    others = {number: text for number, text in values.items() if number not in dates}
    repeats = len(set(dates.values())) <= min(_MOST_CLASSES, len(dates) - 1)
    has_short = any(map(is_short_date, dates.values()))
    if not dates or not (others or repeats or has_short):
        return
    is_problem = is_strict or has_short or not others or is_class_like(others)
    tell = findings.refuse if is_problem else findings.warn
    tell(
        f"'{next(iter(dates.values()))}' in the column '{column}' is a date, perhaps made by a "
        "spreadsheet of another text; format the column as text and write the value again (a "
        "column of true dates needs 'date' in its name)",
        dates,
        column,
    )


def check_errors(column: str, cells: _Cells, findings: Findings) -> None:
    """Find what a spreadsheet shows where it could not compute a cell."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, raw in cells.items():
        text = raw.strip()
        if text in ERROR_VALUES or (len(text) > 2 and set(text) == {"#"}):
            found[text].append(number)
    for text, numbers in found.items():
        findings.refuse(
            f"the column '{column}' has the spreadsheet error '{text}'", numbers, column
        )


def check_gaps(column: str, cells: _Cells, findings: Findings) -> None:
    """Warn of an empty column, of words for an unknown value, and of a class of one row."""
    rows: dict[str, list[int]] = defaultdict(list)
    for number, raw in cells.items():
        rows[clean_value(raw)].append(number)
    counts = Counter({text: len(numbers) for text, numbers in rows.items() if text})
    if not counts:
        findings.warn(f"the column '{column}' is empty", (), column)
    if len(counts) > _MOST_CLASSES:
        return
    alike = Counter(_key(raw) for raw in cells.values())
    for text in counts:
        if text.casefold() in _UNKNOWN and not (text == "-" and "+" in counts):
            findings.warn(
                f"'{text}' in the column '{column}' counts as a class; leave the cell empty if it "
                "means unknown",
                rows[text],
                column,
            )
        elif alike[_key(text)] == 1 and counts.most_common(1)[0][1] >= _FEWEST_OF_COMMON:
            findings.warn(
                f"'{text}' in the column '{column}' stands in this row only; a slip of the pen?",
                rows[text],
                column,
            )


@lru_cache(maxsize=_CACHED_VALUES)
def _key(raw: str) -> str:
    """Return what a value is, spelling aside: no spaces, no capitals, one form of each letter."""
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", clean_value(raw)))
    return "".join(without_fraction(text).casefold().split())


def _spelling(raw: str) -> str:
    return without_fraction(raw.strip()) if raw == raw.strip() else raw


def _quoted(text: str) -> str:
    """Return a value with its spaces, cut where it is long."""
    return f"'{text}'" if len(text) <= _LONGEST_VALUE else f"'{text[:_LONGEST_VALUE]}…'"
