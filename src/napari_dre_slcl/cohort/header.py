"""The header of a cohort table: where it is, and what its columns mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from napari_dre_slcl.cohort.problems import Findings, short_text
from napari_dre_slcl.cohort.rows import ROLE_COLUMNS

__all__ = ["check_header", "header_place", "quoted", "role_of_name"]

_FARTHEST_HEADER = 10
_SHOWN_COLUMNS = 20
_LONGEST_NAME = 60
_ALIASES = {
    "patient": "patient_id",
    "case": "patient_id",
    "caseid": "patient_id",
    "subjectid": "patient_id",
    "slidepath": "slide",
    "path": "slide",
    "file": "slide",
    "filename": "slide",
    "image": "slide",
    "wsi": "slide",
    "hospital": "site",
    "center": "site",
    "centre": "site",
    "institution": "site",
    "reporttext": "report",
    "featurefile": "features",
}


def header_place(rows: Sequence[Sequence[str]]) -> int:
    """Return the place of the header: the first row with two names that we know, or the first.

    Parameters
    ----------
    rows : sequence of rows
        Cells of the table, at least one row.
    """
    filled = [place for place, row in enumerate(rows[:_FARTHEST_HEADER]) if any(row)]
    for place in filled:
        if len({name.strip().lower() for name in rows[place]} & set(ROLE_COLUMNS)) > 1:
            return place
    return filled[0] if filled else 0


def check_header(rows: Sequence[Sequence[str]], findings: Findings) -> tuple[int, dict[str, int]]:
    """Find the header and what is wrong with it.

    Parameters
    ----------
    rows : sequence of rows
        Cells of the table, at least one row.
    findings : Findings
        Is told of rows above the header, of columns without a name or with the same name, and of
        names that are nearly those of a role.

    Returns
    -------
    place : int
        Of the header among the rows.
    columns : dict of int
        Where each named column is; of columns with the same name the first.
    """
    place = header_place(rows)
    number = place + 1
    if any(cell.strip() for row in rows[:place] for cell in row):
        findings.refuse(
            f"the names of the columns stand in row {number}; delete the rows above, such as a "
            "title or a merged header",
            range(1, number),
        )
    elif place:
        findings.warn("empty rows above the names of the columns are skipped", range(1, number))
    names = [name.strip().strip("\ufeff") for name in rows[place]]
    _check_names(names, rows[place + 1 :], number, findings)
    columns: dict[str, int] = {}
    for where, name in enumerate(names):
        if name:
            columns.setdefault(name, where)
    _suggest_roles(columns, number, findings)
    return place, columns


def role_of_name(name: str) -> str | None:
    """Return the role that a column's name nearly says, such as ``patient_id`` for ``Case ID``."""
    plain = re.sub(r"[\W_]", "", name.casefold())
    return _ALIASES.get(plain) or next(
        (role for role in ROLE_COLUMNS if role.replace("_", "") == plain), None
    )


def quoted(names: Sequence[str]) -> str:
    """Return names as text: the first twenty of them, each cut where it is very long."""
    rest = len(names) - _SHOWN_COLUMNS
    shown = (short_text(name, _LONGEST_NAME) for name in names[:_SHOWN_COLUMNS])
    return ", ".join(f"'{name}'" for name in shown) + (f" and {rest} more" if rest > 0 else "")


def _check_names(
    names: Sequence[str], rows: Sequence[Sequence[str]], number: int, findings: Findings
) -> None:
    for name, count in Counter(name for name in names if name).items():
        if count > 1:
            letters = [_letter(place) for place, other in enumerate(names) if other == name]
            times = "twice" if count == 2 else f"{count} times"
            where = f"columns {' and '.join(letters)}"
            findings.refuse(f"it has the column '{name}' {times} ({where})", [number], name)
    for place, name in enumerate(names):
        if not name and any(place < len(row) and row[place].strip() for row in rows):
            findings.refuse(
                f"column {_letter(place)} has values but no name; name or delete it", [number]
            )
        if re.search(r"[;\t|]", name):
            findings.refuse(
                f"the name '{name}' holds another separator than the rest of the header; write "
                "the same between all columns",
                [number],
            )


def _suggest_roles(columns: dict[str, int], number: int, findings: Findings) -> None:
    for name in columns:
        role = role_of_name(name)
        if role is not None and name != role and role not in columns:
            findings.warn(
                f"the column '{name}' is taken for a label; rename it '{role}' if that is meant",
                [number],
                name,
            )


def _letter(place: int) -> str:
    """Return a column's name in a spreadsheet: A, B, … Z, AA."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
