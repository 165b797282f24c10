"""A cohort table made of a folder: one row per slide or feature file, patients by their names.

Reads names only; of DICOM files also which slide they belong to. Opens no slide.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES
from napari_dre_slcl.cohort.sheet import Sheet, new_sheet
from napari_dre_slcl.cohort.tcga import parse_barcode
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.slide.file_to_open import dicom_series

__all__ = ["PATIENT_RULES", "SLIDE_SUFFIXES", "FolderTable", "PatientRule", "table_of_folder"]

SLIDE_SUFFIXES = (
    ".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".svslide", ".bif", ".vms", ".vmu"
)  # fmt: skip
"""Endings of files that may be slides; what they hold is seen once they are opened."""

PatientRule = Literal["barcode", "folder", "slide"]
PATIENT_RULES: tuple[PatientRule, ...] = get_args(PatientRule)

_DICOM_SUFFIX = ".dcm"
_NEW_TABLE = "cohort.csv"


@dataclass(frozen=True, slots=True)
class FolderTable:
    """What a folder gives.

    Parameters
    ----------
    sheet : Sheet
        The table, in no file yet; its paths begin at the folder.
    notes : tuple of str
        Sentences on what is not known, or was left out.
    """

    sheet: Sheet
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    slides: tuple[Path, ...]
    features: tuple[Path, ...]


def table_of_folder(
    sources: Path | Sequence[Path], patients: PatientRule = "barcode"
) -> FolderTable:
    """List the slides of a folder, and of the folders in it.

    Parameters
    ----------
    sources : Path or sequence of Path
        A folder; or slides and feature files themselves.
    patients : {"barcode", "folder", "slide"}
        Who a slide's patient is: by the TCGA barcode that its name begins with, where it has one;
        by the folder that it lies in; or each slide is of a patient of its own.

    Returns
    -------
    FolderTable
        Columns ``slide_id``, ``slide`` (or ``features``), ``patient_id``; with TCGA barcodes also
        ``site`` (the code of the tissue source site) and, where both are there, ``sample``
        (tumour or normal).

    Raises
    ------
    CohortError
        If there are no slides and no feature files, or the folder cannot be read.
    """
    given = [sources] if isinstance(sources, Path) else list(sources)
    for source in given:
        if not source.exists():
            raise CohortError(f"'{source}' does not exist. Choose the folder of your slides.")
    found = _find(given)
    files, column = (found.slides, "slide") if found.slides else (found.features, "features")
    if not files:
        raise CohortError(
            f"'{given[0]}' holds no slides ({', '.join(SLIDE_SUFFIXES)}, or DICOM) and no feature "
            f"files ({', '.join(FEATURE_SUFFIXES)}). Choose the folder that they lie in."
        )
    home = given[0] if given[0].is_dir() else given[0].parent
    notes = []
    if found.slides and found.features:
        notes.append(
            f"{len(found.features):,} feature files are left out, since there are slides too."
        )
    rows = [
        {"slide_id": name, column: _relative(path, home), **_whose(path, patients)}
        for path, name in zip(files, _names(files, home), strict=True)
    ]
    notes += _fill_from_barcodes(rows, files) if patients == "barcode" else []
    columns = ["slide_id", column, "patient_id", *_further_columns(rows)]
    return FolderTable(new_sheet(home / _NEW_TABLE, columns, rows), tuple(notes))


def _find(sources: Iterable[Path]) -> _Found:
    slides: list[Path] = []
    features: list[Path] = []
    for source in sources:
        files = _walk(source) if source.is_dir() else [(source.parent, [source])]
        for folder, own in files:
            slides += (path for path in own if path.suffix.lower() in SLIDE_SUFFIXES)
            features += (path for path in own if path.suffix.lower() in FEATURE_SUFFIXES)
            slides += _dicom_slides(
                folder, [path for path in own if path.suffix.lower() == _DICOM_SUFFIX]
            )
    return _Found(tuple(dict.fromkeys(slides)), tuple(dict.fromkeys(features)))


def _walk(folder: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield folders with their files in order; hidden ones are passed over."""

    def refuse(error: OSError) -> None:
        if error.filename == str(folder):  # of folders inside, what can be read is used
            raise CohortError(f"The folder '{folder}' cannot be read: {error.strerror}.") from error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        yield Path(place), [path for path in files if path.is_file()]


def _dicom_slides(folder: Path, files: Sequence[Path]) -> list[Path]:
    """Return the folder where its files are of one slide, else one file of each slide."""
    first: dict[bytes, Path] = {}
    for path in files:
        try:
            series = dicom_series(path)
        except OSError:
            continue
        if series is not None:
            first.setdefault(series, path)
    return [folder] if len(first) == 1 else list(first.values())


def _names(files: Sequence[Path], home: Path) -> list[str]:
    """Return a name for each slide: of its file, with its folders before it where two are alike."""
    stems = [path.name if path.is_dir() else path.stem for path in files]
    counts = Counter(stem.casefold() for stem in stems)
    return [
        stem if counts[stem.casefold()] == 1 else _long_name(path, home)
        for path, stem in zip(files, stems, strict=True)
    ]


def _long_name(path: Path, home: Path) -> str:
    parts = Path(_relative(path, home)).parts
    return "_".join(part for part in parts if part not in ("..", "/"))


def _relative(path: Path, home: Path) -> str:
    try:
        return Path(os.path.relpath(path, home)).as_posix()
    except ValueError:  # on another drive
        return str(path)


def _whose(path: Path, rule: PatientRule) -> dict[str, str]:
    if rule == "folder":
        return {"patient_id": path.parent.resolve().name}
    if rule == "slide":
        return {"patient_id": path.name if path.is_dir() else path.stem}
    barcode = parse_barcode(path.name)
    if barcode is None:
        return {"patient_id": ""}
    return {"patient_id": barcode.patient, "site": barcode.tss}


def _fill_from_barcodes(rows: Sequence[dict[str, str]], files: Sequence[Path]) -> list[str]:
    """Tell tumour from normal tissue where both are there; return what is not known."""
    barcodes = [parse_barcode(path.name) for path in files]
    unknown = sum(barcode is None for barcode in barcodes)
    notes = []
    if unknown:
        notes.append(
            f"{unknown:,} of {len(files):,} slides have no TCGA barcode in their name, so it is "
            "not known whose they are. Fill in patient_id, or say how patients are told apart."
        )
    if unknown < len(files):
        notes.append(
            "The site is TCGA's code of the hospital; it names the disease too. Put the hospital "
            "in its place where several diseases are compared."
        )
    is_normal = [barcode is not None and barcode.sample.startswith("1") for barcode in barcodes]
    if any(is_normal) and not all(is_normal):
        for row, normal in zip(rows, is_normal, strict=True):
            row["sample"] = "normal" if normal else "tumour"
    return notes


def _further_columns(rows: Sequence[dict[str, str]]) -> list[str]:
    return [name for name in ("site", "sample") if any(row.get(name) for row in rows)]
