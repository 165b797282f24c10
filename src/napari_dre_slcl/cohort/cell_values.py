"""What a cell of a cohort table means: gaps, whole numbers, pixel sizes, and what Excel spoils."""

from __future__ import annotations

import math
import re

from napari_dre_slcl.slide.pixel_size import MPP_RANGE

__all__ = [
    "ERROR_VALUES",
    "clean_value",
    "is_full_date",
    "is_rounded_number",
    "is_short_date",
    "mpp_value",
    "without_fraction",
]

# What R, pandas and spreadsheets write for a value that is missing.
_MISSING = frozenset({"na", "n/a", "#n/a", "nan", "null", "<na>", "nat"})
ERROR_VALUES = frozenset({"#REF!", "#DIV/0!", "#NAME?", "#VALUE!", "#NUM!", "#NULL!"})
"""What a spreadsheet shows where it could not compute a cell."""
_WHOLE_NUMBER = re.compile(r"([-+]?\d+)\.0+")
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d{2,3}", re.IGNORECASE)
_MONTH = r"(?:jan|feb|mar|mrz|mär|apr|may|mai|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez)\.?"
_SHORT_DATE = re.compile(
    rf"\d{{1,2}}(?:-|/|\. ?){_MONTH}(?:[-/ ]\d{{2,4}})?|{_MONTH}[-/]\d{{2,4}}", re.IGNORECASE
)
_FULL_DATE = re.compile(
    r"(?:(?:19|20)\d\d-\d{1,2}-\d{1,2}|\d{1,2}/\d{1,2}/(?:19|20)?\d\d|"
    r"\d{1,2}\.\d{1,2}\.(?:19|20)\d\d)(?:[ T]\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?)?"
)


def clean_value(text: str) -> str:
    """Return a cell without spaces around it, empty for ``NA``, ``N/A``, ``NaN`` and ``null``."""
    stripped = text.strip()
    return "" if stripped.lower() in _MISSING else stripped


def without_fraction(text: str) -> str:
    """Return a label; 1.0 is 1, as a column of numbers is written once it has a gap."""
    whole = _WHOLE_NUMBER.fullmatch(text)
    return whole[1] if whole else text


def mpp_value(text: str) -> float | None:
    """Return a pixel size in µm, None for what is none; 0,25 is 0.25."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    return value if MPP_RANGE[0] <= value <= MPP_RANGE[1] else None


def is_short_date(text: str) -> bool:
    """Whether a spreadsheet made this of a text such as 2-9 or SEPT2: ``2-Sep``, ``Sep-02``."""
    return _SHORT_DATE.fullmatch(text) is not None


def is_full_date(text: str) -> bool:
    """Whether this is a day: ``2024-09-02``, ``9/2/2024``, ``02.09.2024``."""
    return _FULL_DATE.fullmatch(text) is not None


def is_rounded_number(text: str) -> bool:
    """Whether a spreadsheet has rounded a long number: ``1.23E+12``."""
    return _ROUNDED.fullmatch(text) is not None
