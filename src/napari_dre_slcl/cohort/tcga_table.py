"""A cohort table with patient and site filled in from TCGA barcodes."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES
from napari_dre_slcl.cohort.header import check_header
from napari_dre_slcl.cohort.problems import CohortTableError, Findings, in_order
from napari_dre_slcl.cohort.read_table import read_table
from napari_dre_slcl.cohort.tcga import TcgaBarcode, parse_barcode
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.untrusted import defuse

__all__ = ["FilledTable", "write_tcga_table"]

_SLIDE_SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs")
_FIRST_COLUMNS = ("slide_id", "slide", "features", "patient_id", "tss", "site")
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FilledTable:
    """What was written.

    Parameters
    ----------
    n_slides, n_patients, n_sites : int
        Of the table.
    notes : tuple of str
        Sentences on what could not be filled, or should be known.
    """

    n_slides: int
    n_patients: int
    n_sites: int
    notes: tuple[str, ...]


def write_tcga_table(
    source: Path, out: Path, site_names: Mapping[str, str] | None = None
) -> FilledTable:
    """Write a cohort table in which ``patient_id``, ``tss`` and ``site`` come from barcodes.

    What a table has in these columns already is kept.

    Parameters
    ----------
    source : Path
        A table with barcodes in ``slide_id`` or in the file names of ``slide`` or ``features``;
        or a folder of such files, folders inside it included.
    out : Path
        CSV file to write; paths in it are relative to its folder.
    site_names : mapping of str, optional
        Site by TSS code. Without it the code itself is the site.

    Raises
    ------
    CohortError
        If there is nothing to read, a slide has no barcode, its patient is another one, or
        ``out`` exists.
    """
    if out.exists():
        raise CohortError(f"'{out}' exists already. Name another file with --out.")
    notes: list[str] = []
    if source.is_dir():
        rows = _rows_of_folder(source, out.parent, notes)
    else:
        rows = _rows_of_table(source, out.parent)
    _fill(source, rows, site_names, notes)
    records = list(rows.values())
    _write(out, records)
    return FilledTable(
        len(records),
        len({record["patient_id"] for record in records}),
        len({record["site"] for record in records} - {""}),
        tuple(notes),
    )


_Rows = dict[int, dict[str, str]]
"""Cells by column, by row number."""


def _rows_of_folder(folder: Path, new_home: Path, notes: list[str]) -> _Rows:
    known = (*_SLIDE_SUFFIXES, *FEATURE_SUFFIXES)
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in known and path.is_file()
    )
    named = [path for path in files if parse_barcode(path.name)]
    if len(named) < len(files):
        notes.append(f"{len(files) - len(named)} files without a TCGA barcode are left out.")
    if not named:
        raise CohortError(
            f"The folder '{folder}' has no slide or feature file whose name begins with a TCGA "
            "barcode, such as TCGA-05-4245-01Z-00-DX1."
        )
    kinds = {"features" if path.suffix.lower() in FEATURE_SUFFIXES else "slide" for path in named}
    if len(kinds) > 1:
        raise CohortError(
            f"The folder '{folder}' holds slides and feature files. Give the folder of one kind."
        )
    (column,) = kinds
    return {
        number: {"slide_id": path.stem, column: os.path.relpath(path, new_home)}
        for number, path in enumerate(named, start=2)
    }


def _rows_of_table(table: Path, new_home: Path) -> _Rows:
    findings = Findings()
    cells = read_table(table, findings)
    place, columns = check_header(cells or [[]], findings)
    if findings.problems:
        raise CohortTableError(table, findings.problems)
    rows: _Rows = {}
    for number, row in enumerate(cells[place + 1 :], start=place + 2):
        if any(cell.strip() for cell in row):
            rows[number] = {
                name: row[where].strip() if where < len(row) else ""
                for name, where in columns.items()
            }
    if not rows:
        raise CohortError(f"The table '{table}' has no rows. Give one row per slide.")
    for record in rows.values():
        for column in {"slide", "features"} & {name for name in record if record[name]}:
            record[column] = os.path.relpath(table.parent / record[column], new_home)
    return rows


def _fill(
    source: Path, rows: _Rows, site_names: Mapping[str, str] | None, notes: list[str]
) -> None:
    findings = Findings()
    samples: dict[int, str] = {}
    codes: set[str] = set()
    for number, record in rows.items():
        barcode = _barcode(record)
        patient = record.get("patient_id", "")
        if barcode is None:
            findings.refuse("no TCGA barcode in slide_id, slide or features", [number], "slide_id")
            continue
        if patient and (parse_barcode(patient) or barcode).patient != barcode.patient:
            findings.refuse(
                f"patient_id '{patient}' is not the patient of the barcode, {barcode.patient}",
                [number],
                "patient_id",
            )
        record["patient_id"] = patient or barcode.patient
        record["tss"] = record.get("tss") or barcode.tss
        samples[number] = barcode.sample
        if not record.get("site"):
            names = {barcode.tss: barcode.tss} if site_names is None else site_names
            record["site"] = names.get(barcode.tss, "")
            codes.add(barcode.tss)
    if findings.problems:
        raise CohortTableError(source, in_order(findings.problems))
    _fill_sample_kind(rows, samples, notes)
    _note_sites(codes, site_names, notes)


def _barcode(record: Mapping[str, str]) -> TcgaBarcode | None:
    for column in ("slide_id", "slide", "features"):
        barcode = parse_barcode(Path(record.get(column, "").replace("\\", "/")).name)
        if barcode is not None:
            return barcode
    return None


def _fill_sample_kind(rows: _Rows, samples: Mapping[int, str], notes: list[str]) -> None:
    """Tell tumour from normal tissue where a cohort has both (sample codes 10 to 19)."""
    normal = {number for number, code in samples.items() if code.startswith("1")}
    if 0 < len(normal) < len(rows) and not any("sample" in record for record in rows.values()):
        for number, record in rows.items():
            record["sample"] = "normal" if number in normal else "tumour"
        notes.append(
            f"{len(normal)} slides are of normal tissue by their barcode; the column 'sample' "
            "tells which."
        )


def _note_sites(codes: set[str], site_names: Mapping[str, str] | None, notes: list[str]) -> None:
    """Say what is known of the sites of the codes that were filled in."""
    unknown = sorted(codes - set(site_names or {}))
    if codes and site_names is None:
        notes.append(
            "The site is TCGA's code (TSS). It is one for each hospital and disease, so that it "
            "names the disease too: give --sites with the hospital of each code where slides of "
            "several diseases are compared."
        )
    elif unknown:
        shown = ", ".join(unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
        notes.append(f"The table of sites lacks the codes {shown}{more}; their site is empty.")


def _write(out: Path, records: list[dict[str, str]]) -> None:
    names = {name: None for record in records for name in record}
    first = [name for name in _FIRST_COLUMNS if name in names]
    columns = [*first, *(name for name in names if name not in first)]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: defuse(cell) for name, cell in record.items()} for record in records)
    try:
        write_text(out, text.getvalue())
    except OSError as error:
        raise CohortError(f"'{out}' cannot be written: {error.strerror}.") from error
