"""TCGA barcodes: which patient and which tissue source site a slide is of.

A barcode reads TCGA-05-4245-01Z-00-DX1: project, tissue source site (TSS), participant, sample
and vial, portion, slide (https://docs.gdc.cancer.gov/Encyclopedia/pages/TCGA_Barcode/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.cohort.header import header_place
from napari_dre_slcl.cohort.problems import CohortTableError, Findings
from napari_dre_slcl.cohort.read_table import read_table
from napari_dre_slcl.errors import CohortError

__all__ = ["TcgaBarcode", "parse_barcode", "read_site_names"]

_BARCODE = re.compile(
    r"TCGA-([A-Z0-9]{2})-([A-Z0-9]{4})(?:-(\d{2})[A-Z]?)?(?=[-._]|$)", re.IGNORECASE
)
_CODE_NAMES = frozenset({"tss", "tsscode", "code"})
_SITE_NAMES = frozenset({"site", "sourcesite", "hospital", "name"})


@dataclass(frozen=True, slots=True)
class TcgaBarcode:
    """The parts of a barcode that say whose slide it is.

    Parameters
    ----------
    patient : str
        Such as ``TCGA-05-4245``.
    tss : str
        Code of the tissue source site; one for each hospital and disease.
    sample : str
        Kind of sample, 01 to 09 for a tumour, 10 to 19 for normal tissue; empty where not given.
    """

    patient: str
    tss: str
    sample: str


def parse_barcode(text: str) -> TcgaBarcode | None:
    """Return what a slide's name says, None where it does not begin with a TCGA barcode.

    Parameters
    ----------
    text : str
        A barcode, or a file name that begins with one.
    """
    match = _BARCODE.match(text.strip())
    if match is None:
        return None
    tss, participant, sample = match[1].upper(), match[2].upper(), match[3] or ""
    return TcgaBarcode(f"TCGA-{tss}-{participant}", tss, sample)


def read_site_names(table: Path) -> dict[str, str]:
    """Return the hospital of each tissue source site code.

    Parameters
    ----------
    table : Path
        With the columns ``tss`` and ``site``, or as TCGA's own code table names them: ``TSS Code``
        and ``Source Site``.

    Raises
    ------
    CohortError
        If the table cannot be read, lacks a column, or gives a code two sites.
    """
    findings = Findings()
    rows = read_table(table, findings)
    if findings.problems:
        raise CohortTableError(table, findings.problems)
    header = rows[header_place(rows)] if rows else []
    plain = [re.sub(r"[\W_]", "", name.casefold()) for name in header]
    code = next((place for place, name in enumerate(plain) if name in _CODE_NAMES), None)
    site = next((place for place, name in enumerate(plain) if name in _SITE_NAMES), None)
    if code is None or site is None:
        raise CohortError(
            f"The table of sites '{table}' needs the columns 'tss' and 'site' (or 'TSS Code' and "
            f"'Source Site'); it has {', '.join(map(repr, header)) or 'none'}."
        )
    names: dict[str, str] = {}
    for row in rows[header_place(rows) + 1 :]:
        key, name = (row[place].strip() if place < len(row) else "" for place in (code, site))
        # A code of two digits loses its zero where a spreadsheet takes it for a number.
        key = key.upper().zfill(2) if key else ""
        if key and name and names.setdefault(key, name) != name:
            raise CohortError(
                f"The table of sites '{table}' gives the code '{key}' two sites: "
                f"'{names[key]}' and '{name}'. Keep one."
            )
    return names
