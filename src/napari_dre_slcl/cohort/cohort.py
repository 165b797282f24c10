"""The cohort table: which slides there are, whose they are, and what is known of them.

Knows files and tables; opens no slide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.slide.pixel_size import MPP_RANGE

__all__ = ["ROLE_COLUMNS", "SPLITS", "Cohort", "SlideRow", "read_cohort"]

ROLE_COLUMNS = ("slide", "slide_id", "patient_id", "site", "report", "mpp", "split", "features")
SPLITS = ("train", "val", "test")
_SHOWN_PROBLEMS = 10
# What R, pandas and spreadsheets write for a value that is missing.
_MISSING = frozenset({"na", "n/a", "#n/a", "nan", "null", "<na>"})
_WHOLE_NUMBER = re.compile(r"([-+]?\d+)\.0+")


@dataclass(frozen=True, slots=True)
class SlideRow:
    """One line of the cohort table.

    Parameters
    ----------
    slide_id, patient_id, site, report, split : str
        As in the table; empty where unknown.
    path : Path or None
        The slide, absolute; None where the table names none and none is needed.
    mpp : float or None
        Pixel size in µm by the table, 0.1 to 10.
    labels : dict of str
        Every other column, by name.
    features : Path or None
        The slide's feature file, absolute; None where the table names none.
    number : int
        Row of the table as a spreadsheet shows it; the header is row 1.
    """

    slide_id: str
    path: Path | None
    patient_id: str
    site: str
    report: str
    mpp: float | None
    split: str
    labels: dict[str, str]
    features: Path | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class Cohort:
    """A validated cohort table.

    Parameters
    ----------
    table : Path
        Where it was read from.
    rows : tuple of SlideRow
        In the order of the table.
    label_columns : tuple of str
        Columns that have no role of their own.
    """

    table: Path
    rows: tuple[SlideRow, ...]
    label_columns: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def labels(self, column: str) -> NDArray[np.str_]:
        """(n,) text of a label column, empty where unknown."""
        return np.array([row.labels[column] for row in self.rows], dtype=np.str_)

    def patients(self) -> NDArray[np.str_]:
        """(n,) patient of each slide."""
        return np.array([row.patient_id for row in self.rows], dtype=np.str_)

    def sites(self) -> NDArray[np.str_]:
        """(n,) site of each slide, empty where unknown."""
        return np.array([row.site for row in self.rows], dtype=np.str_)

    @property
    def is_from_features(self) -> bool:
        """Whether the table gives a feature file for every slide and names no slide."""
        return all(row.features is not None and row.path is None for row in self.rows)


def read_cohort(table: Path, needs_slides: bool = True) -> Cohort:
    """Read and check a cohort table.

    Parameters
    ----------
    table : Path
        CSV file with the columns ``slide`` (path, relative to the table) and ``patient_id``;
        optional ``slide_id``, ``site``, ``report``, ``mpp``, ``split`` (train, val, test); any
        further column is a label. ``NA``, ``N/A``, ``NaN`` and ``null`` count as empty.
    needs_slides : bool, default True
        False where feature files stand for the slides: ``slide`` may then be empty or absent, as
        long as there is a ``slide_id``, and its file may be missing.

    Raises
    ------
    CohortError
        If the table cannot be used; names every problem with its row.
    """
    frame = _read_frame(table)
    needs_slides = needs_slides and ("slide" in frame.columns or "features" not in frame.columns)
    has_id = not needs_slides and "slide_id" in frame.columns
    required = ("patient_id",) if has_id else ("slide", "patient_id")
    missing = [column for column in required if column not in frame.columns]
    if missing:
        raise CohortError(
            f"The cohort table '{table}' has no column {_quoted(missing)}. "
            f"Add it; the table has {_quoted(list(frame.columns))}."
        )
    if frame.empty:
        raise CohortError(f"The cohort table '{table}' has no rows. Add one row per slide.")
    label_columns = tuple(column for column in frame.columns if column not in ROLE_COLUMNS)
    problems: list[str] = []
    rows = tuple(
        _row(record, number, table, label_columns, problems, needs_slides)
        for number, record in enumerate(frame.to_dict("records"), start=2)
    )
    problems += _repeated_ids(rows) + _patients_on_two_sides(rows)
    if problems:
        raise CohortError(_sentence(table, problems))
    return Cohort(table, rows, label_columns)


def _read_frame(table: Path) -> pd.DataFrame:
    try:
        # Without a header pandas leaves repeated column names as they are.
        frame = pd.read_csv(
            table, dtype=str, header=None, keep_default_na=False, encoding="utf-8-sig"
        )
    except OSError as error:
        raise CohortError(
            f"The cohort table '{table}' cannot be read: {error.strerror}."
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise CohortError(
            f"The cohort table '{table}' is not a CSV file in UTF-8 with a header line: "
            f"{str(error).strip()}."
        ) from error
    frame.columns = [str(column).strip() for column in frame.iloc[0]]
    frame = frame.iloc[1:]
    repeated = sorted({c for c in frame.columns if list(frame.columns).count(c) > 1})
    if repeated:
        raise CohortError(f"The cohort table '{table}' has the column {_quoted(repeated)} twice.")
    return frame.map(_value)


def _value(text: object) -> str:
    stripped = text.strip() if isinstance(text, str) else ""
    return "" if stripped.lower() in _MISSING else stripped


def _label(text: str) -> str:
    """Return a label; 1.0 is 1, as a column of numbers is written once it has a gap."""
    whole = _WHOLE_NUMBER.fullmatch(text)
    return whole[1] if whole else text


def _row(
    record: dict[object, str],
    number: int,
    table: Path,
    label_columns: Sequence[str],
    problems: list[str],
    needs_slides: bool,
) -> SlideRow:
    given = {str(key): value for key, value in record.items()}
    slide = given.get("slide", "")
    path = (table.parent / slide).resolve() if slide else None
    slide_id = given.get("slide_id", "") or Path(slide).stem
    if "/" in slide_id or "\\" in slide_id:
        problems.append(f"row {number}: slide_id '{slide_id}' holds a slash")
    if not slide and (needs_slides or not slide_id):
        problems.append(f"row {number} names no slide")
    elif needs_slides and path is not None and not path.exists():
        problems.append(f"row {number}: the slide '{path}' does not exist")
    if not given["patient_id"]:
        problems.append(f"row {number} has no patient_id")
    split = given.get("split", "").lower()
    if split and split not in SPLITS:
        problems.append(f"row {number}: split '{split}' is none of {', '.join(SPLITS)}")
    return SlideRow(
        slide_id=slide_id,
        path=path,
        patient_id=given["patient_id"],
        site=given.get("site", ""),
        report=given.get("report", ""),
        mpp=_mpp(given.get("mpp", ""), number, problems),
        split=split,
        labels={column: _label(given[column]) for column in label_columns},
        features=(table.parent / given["features"]).resolve() if given.get("features") else None,
        number=number,
    )


def _mpp(text: str, number: int, problems: list[str]) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not MPP_RANGE[0] <= value <= MPP_RANGE[1]:
        limits = f"between {MPP_RANGE[0]:g} and {MPP_RANGE[1]:g}"
        problems.append(f"row {number}: mpp '{text}' is no pixel size in µm {limits}")
        return None
    return value


def _repeated_ids(rows: Sequence[SlideRow]) -> list[str]:
    first: dict[str, int] = {}
    problems = []
    for number, row in enumerate(rows, start=2):
        if row.slide_id in first:
            problems.append(
                f"row {number}: slide_id '{row.slide_id}' stands in row {first[row.slide_id]} too"
            )
        first.setdefault(row.slide_id, number)
    return problems


def _patients_on_two_sides(rows: Sequence[SlideRow]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.patient_id, set()).add(row.split)
    return [
        f"patient '{patient}' is in more than one split "
        f"({', '.join(sorted(s or 'none' for s in found))})"
        for patient, found in splits.items()
        if len(found) > 1
    ]


def _sentence(table: Path, problems: Sequence[str]) -> str:
    shown = "; ".join(problems[:_SHOWN_PROBLEMS])
    rest = len(problems) - _SHOWN_PROBLEMS
    more = f"; and {rest} more" if rest > 0 else ""
    return f"The cohort table '{table}' cannot be used: {shown}{more}. Correct the table."


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
