"""Which column of a foreign table plays which role, and the table with the names that we know."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from napari_dre_slcl.cohort.cell_values import clean_value
from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES
from napari_dre_slcl.cohort.from_folder import SLIDE_SUFFIXES
from napari_dre_slcl.cohort.header import role_of_name
from napari_dre_slcl.cohort.rows import ROLE_COLUMNS, SPLITS
from napari_dre_slcl.cohort.sheet import Sheet
from napari_dre_slcl.cohort.tcga import parse_barcode
from napari_dre_slcl.errors import CohortError

__all__ = ["FROM_BARCODE", "ROLE_WORDS", "example_values", "guess_roles", "with_roles"]

FROM_BARCODE = -1
"""In the place of a column: the patient by the TCGA barcode of the slide's name."""

ROLE_WORDS = {
    "slide": ("Slide file", "Path of the slide, relative to the table or absolute."),
    "features": ("Feature file", "Path of ready-made tile features, where there are no slides."),
    "slide_id": ("Slide name", "Name of the slide, each once. Without it, the file's name."),
    "patient_id": ("Patient", "Whose slide it is: patients are never split over both sides."),
    "site": ("Hospital", "Where the patient was treated; needed for folds by hospital."),
    "report": ("Report", "Text of the pathology report."),
    "mpp": ("Pixel size", "µm per pixel at full resolution; wins over what the file says."),
    "split": ("Split", "train, val or test, in every row or in none."),
}
"""What each role is called in the window, and what it is."""

_SHOWN_VALUES = 3
_LONGEST_VALUE = 40
_SAMPLE = 200


def guess_roles(sheet: Sheet) -> dict[str, int]:
    """Return the place of the column that seems to play each role; roles without one are left out.

    By the name where it is known or nearly so, else by what the cells look like: paths of slides
    and of feature files, ``train`` and ``test``, TCGA barcodes of patients.

    Parameters
    ----------
    sheet : Sheet
        The table.
    """
    roles: dict[str, int] = {}
    for place, name in enumerate(sheet.columns):
        role = name if name in ROLE_COLUMNS else role_of_name(name)
        if role is not None and (role not in roles or name == role):
            roles[role] = place
    for place in range(len(sheet.columns)):
        role = None if place in roles.values() else _role_of_cells(sheet, place)
        if role is not None:
            roles.setdefault(role, place)
    if "patient_id" not in roles and _has_barcodes(sheet, roles):
        roles["patient_id"] = FROM_BARCODE
    return roles


def example_values(sheet: Sheet, place: int) -> str:
    """Return the first different values of a column as text, such as ``LUAD, LUSC, …``."""
    found = list(dict.fromkeys(_cells(sheet, place)))
    shown = [
        value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
        for value in found[:_SHOWN_VALUES]
    ]
    return ", ".join(shown) + (", …" if len(found) > len(shown) else "") or "empty"


def with_roles(sheet: Sheet, roles: Mapping[str, int]) -> Sheet:
    """Return a table in which the columns have the names of their roles.

    Columns without a role stay as labels. One that has the name of a role and does not play it is
    called ``slide_id (label)`` and the like.

    Parameters
    ----------
    sheet : Sheet
        The table as it came.
    roles : mapping of int
        Place of a column by role; `FROM_BARCODE` for ``patient_id`` fills it in.

    Returns
    -------
    Sheet
        Not saved.

    Raises
    ------
    CohortError
        If a column plays two roles, or nothing says which slide or patient a row is of.
    """
    _check_roles(sheet, roles)
    names = {place: role for role, place in roles.items() if place >= 0}
    header = tuple(
        names.get(place, f"{name} (label)" if name in ROLE_COLUMNS else name)
        for place, name in enumerate(sheet.columns)
    )
    changed = {(sheet.place + 1, place): name for place, name in enumerate(header)}
    renamed = replace(sheet.with_cells(changed), read_warnings=())
    if roles.get("patient_id") == FROM_BARCODE:
        patients = [barcode_patient(renamed, number) for number in renamed.numbers]
        renamed = renamed.with_column("patient_id", patients)
    return renamed


def barcode_patient(sheet: Sheet, number: int) -> str:
    """Return the patient by the barcode in a row's slide name or file, empty for none.

    Parameters
    ----------
    sheet : Sheet
        With the column ``slide_id``, ``slide`` or ``features``.
    number : int
        Row as a spreadsheet numbers it.
    """
    for role in ("slide_id", "slide", "features"):
        place = sheet.column(role)
        text = "" if place is None else clean_value(sheet.cell(number, place))
        barcode = parse_barcode(text.replace("\\", "/").rpartition("/")[2])
        if barcode is not None:
            return barcode.patient
    return ""


def _check_roles(sheet: Sheet, roles: Mapping[str, int]) -> None:
    taken: dict[int, str] = {}
    for role, place in roles.items():
        other = taken.setdefault(place, role)
        if other != role:
            raise CohortError(
                f"The column '{sheet.columns[place]}' cannot be both '{ROLE_WORDS[other][0]}' and "
                f"'{ROLE_WORDS[role][0]}'. Choose another one for either."
            )
    if not {"slide", "features", "slide_id"} & set(roles):
        raise CohortError(
            "No column says which slide a row is of. Choose one for 'Slide file', or for 'Feature "
            "file' where there are no slides."
        )
    if "patient_id" not in roles:
        raise CohortError(
            "No column says which patient a row is of. Choose one for 'Patient': without it, "
            "slides of one patient could lie in training and in test."
        )


def _cells(sheet: Sheet, place: int) -> list[str]:
    cells = (clean_value(sheet.cell(number, place)) for number in sheet.numbers[:_SAMPLE])
    return [cell for cell in cells if cell]


def _role_of_cells(sheet: Sheet, place: int) -> str | None:
    cells = [cell.lower() for cell in _cells(sheet, place)]
    if not cells:
        return None
    if _are_all(cells, (*SLIDE_SUFFIXES, ".dcm")):
        return "slide"
    if _are_all(cells, FEATURE_SUFFIXES):
        return "features"
    if {"train", "test"} <= set(cells) <= set(SPLITS):
        return "split"
    is_patient = all(re.fullmatch(r"tcga-\w\w-\w{4}", cell) for cell in cells)
    return "patient_id" if is_patient else None


def _are_all(cells: Sequence[str], suffixes: Sequence[str]) -> bool:
    return all(cell.endswith(tuple(suffixes)) for cell in cells)


def _has_barcodes(sheet: Sheet, roles: Mapping[str, int]) -> bool:
    named = [roles[role] for role in ("slide_id", "slide", "features") if role in roles]
    return any(
        bool(cells) and all(parse_barcode(cell.rpartition("/")[2]) for cell in cells)
        for cells in (_cells(sheet, place) for place in named)
    )
