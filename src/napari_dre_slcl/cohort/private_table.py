"""A cohort table under pseudonyms, in the user's own folder: what a job is given in its place.

Paths in it are links, see `private_slides`. Reports, labels, sites and splits stay as they are, but
columns that tell patients apart, such as one of names, are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from napari_dre_slcl.atomic_file import atomic_writer, write_private
from napari_dre_slcl.cohort.cohort import Cohort, SlideRow, read_cohort
from napari_dre_slcl.cohort.feature_store import feature_file
from napari_dre_slcl.cohort.private_names import KnownName, remember_names
from napari_dre_slcl.cohort.private_slides import link_file, link_slide
from napari_dre_slcl.cohort.pseudonyms import Pseudonyms, is_under_pseudonym, private_folder
from napari_dre_slcl.cohort.ready_vectors import read_ready_vectors
from napari_dre_slcl.cohort.shared_labels import shared_labels
from napari_dre_slcl.errors import CohortError, JobError
from napari_dre_slcl.slide.urls import is_remote

__all__ = [
    "private_features",
    "private_files",
    "private_splits",
    "private_table",
    "private_vectors",
]

_SPLIT_HEADS = ("slide_id", "slide", "image_id", "patient_id", "case_id", "role", "split", "fold")
_SIDES = ("train", "training", "val", "valid", "validation", "test", "testing", "true", "false")
_SPLIT_WORDS = frozenset({*_SPLIT_HEADS, *_SIDES})
PRIVATE_TABLE = "cohort.csv"
"""Name of tables under pseudonyms; others in the same place still have the slides' own names."""
_COUNT_DIGITS = 5
"""Longer numbers in split files may be those of patients."""
_SPLIT_SUFFIXES = (".csv", ".tsv", ".txt")


def private_table(table: Path, names: Pseudonyms, wanted: Collection[str] = ()) -> Path:
    """Write a cohort table under pseudonyms and return it; one that is such already stays.

    Parameters
    ----------
    table : Path
        The user's own.
    names : Pseudonyms
        Under the user's key.
    wanted : collection of str
        Columns that are needed whatever they hold.

    Raises
    ------
    CohortError
        If the table cannot be used.
    JobError
        If a slide is on a server, or the user's folder cannot be written.
    """
    if is_under_pseudonym(table) and table.name == PRIVATE_TABLE:
        return table
    cohort = read_cohort(table, needs_slides=False)
    folder = _folder(names, "table", table)
    labels = shared_labels(cohort, wanted)
    columns = ("slide_id", "patient_id", "slide", "features", "site", "report", "mpp", "split")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    used = [name for name in columns if any(_cell(row, name) for row in cohort.rows)]
    writer.writerow([*used, *labels])
    for row in cohort.rows:
        private = _cells(row, names, folder)
        writer.writerow(
            [private.get(name, _cell(row, name)) for name in used]
            + [row.labels[name] for name in labels]
        )
    _remember(cohort, names)
    return _written(folder / PRIVATE_TABLE, text.getvalue())


def private_files(slides: Sequence[Path], names: Pseudonyms) -> tuple[Path, ...]:
    """Return links in the place of slide files that no table names; each is called by its name."""
    links, known = [], []
    taken: set[str] = set()
    for path in slides:
        if is_under_pseudonym(path):
            links.append(path)
            continue
        name = path.name if path.is_dir() else path.stem
        while name in taken:
            name += "'"  # of another folder
        taken.add(name)
        pseudonym = names.slide(name)
        links.append(link_slide(path, pseudonym, _folder(names, "files", path.parent)))
        known.append(KnownName(pseudonym, name, str(path.absolute())))
    remember_names(known)
    return tuple(links)


def private_features(table: Path, folder: Path, names: Pseudonyms) -> Path:
    """Return a folder of links to the feature files of a table's slides.

    Parameters
    ----------
    table : Path
        The user's own cohort table.
    folder : Path
        Holds the files, called by slide_id, by the slides' files or by pseudonyms.
    names : Pseudonyms
        Under the user's key.
    """
    if is_under_pseudonym(folder) or is_under_pseudonym(table) or not folder.is_dir():
        return folder
    if is_remote(folder):
        raise JobError(
            "Feature files on a server cannot be pseudonymised. Copy their folder to a disk of "
            "this machine, or leave --pseudonymize out."
        )
    links = _folder(names, "features", folder)
    for row in read_cohort(table, needs_slides=False).rows:
        pseudonym = names.slide(row.slide_id)
        called = [pseudonym, row.slide_id, *([row.path.stem] if row.path else [])]
        file = feature_file(folder, called)
        if file is not None:
            link_file(file, pseudonym, links)
    return links


def private_splits(table: Path, splits: Path, names: Pseudonyms) -> Path:
    """Return a folder of split files in which pseudonyms stand for slides and patients."""
    if is_under_pseudonym(splits) or not splits.exists():
        return splits
    cohort = read_cohort(table, needs_slides=False)
    known = {row.patient_id: names.patient(row.patient_id) for row in cohort.rows}
    for row in cohort.rows:
        called = {row.slide_id}
        if row.path is not None:
            called |= {row.path.name, row.path.stem}
        known |= dict.fromkeys(called, names.slide(row.slide_id))
    folder = _folder(names, "splits", splits)
    files = [splits] if splits.is_file() else sorted(splits.iterdir())
    written = {
        _written(folder / file.name, _translated(file, known, names))
        for file in files
        if file.suffix.lower() in _SPLIT_SUFFIXES and file.is_file()
    }
    for file in folder.glob("*"):
        if file not in written:  # of splits that are no longer there
            file.unlink(missing_ok=True)
    return folder


def private_vectors(table: Path, vectors: Path, names: Pseudonyms) -> Path:
    """Return a file of ready report vectors in which pseudonyms stand for slides."""
    if is_under_pseudonym(vectors) or is_under_pseudonym(table):
        return vectors
    ids = [row.slide_id for row in read_cohort(table, needs_slides=False).rows]
    ready = read_ready_vectors(vectors, ids)
    is_there = np.array([name not in set(ready.missing) for name in ids], bool)
    pseudonyms = np.array([names.slide(name) for name in ids], dtype=np.str_)
    path = _folder(names, "vectors", vectors) / "vectors.npz"
    try:
        with atomic_writer(path) as stream:
            np.savez(stream, slide_id=pseudonyms[is_there], vectors=ready.vectors[is_there])
    except OSError as error:
        raise JobError(f"'{path}' cannot be written: {error.strerror}. Make room.") from error
    return path


def _folder(names: Pseudonyms, kind: str, path: Path) -> Path:
    return private_folder() / f"{kind}-{names.tag(kind, str(path.absolute()))}"


def _cell(row: SlideRow, name: str) -> str:
    if name in ("slide", "features"):
        file = row.path if name == "slide" else row.features
        return "" if file is None else str(file)
    if name == "mpp":
        return "" if row.mpp is None else repr(row.mpp)
    return str(getattr(row, name))


def _cells(row: SlideRow, names: Pseudonyms, folder: Path) -> dict[str, str]:
    """Return the cells of a row that tell who it is, under pseudonyms."""
    pseudonym = names.slide(row.slide_id)
    cells = {"slide_id": pseudonym, "patient_id": names.patient(row.patient_id)}
    if row.path is not None:
        cells["slide"] = str(link_slide(row.path, pseudonym, folder / "slides"))
    if row.features is not None:
        cells["features"] = str(link_slide(row.features, pseudonym, folder / "features"))
    return cells


def _remember(cohort: Cohort, names: Pseudonyms) -> None:
    known = []
    for row in cohort.rows:
        file = row.path or row.features
        where = "" if file is None else str(file)
        known.append(KnownName(names.slide(row.slide_id), row.slide_id, where))
        if row.patient_id:
            known.append(KnownName(names.patient(row.patient_id), row.patient_id))
    remember_names(known)


def _translated(file: Path, known: dict[str, str], names: Pseudonyms) -> str:
    """Return a split file with other names in it; of one that is not in the table, too."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CohortError(
            f"The split file '{file}' cannot be read: {error}. Save it as CSV UTF-8."
        ) from error
    separator = max(",\t;", key=lines[0].count) if lines else ","
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    for number, row in enumerate(csv.reader(lines, delimiter=separator)):
        cells = [cell.strip() for cell in row]
        writer.writerow(cells if not number else [_other(cell, known, names) for cell in cells])
    return text.getvalue()


def _other(cell: str, known: dict[str, str], names: Pseudonyms) -> str:
    is_count = cell.isdecimal() and len(cell) <= _COUNT_DIGITS and cell not in known
    if not cell or is_count or cell.lower() in _SPLIT_WORDS:
        return cell
    stem = cell.rpartition(".")[0]
    return known.get(cell) or known.get(stem) or names.slide(cell)


def _written(path: Path, text: str) -> Path:
    """Write a file unless it is there as it should be: a run that goes on looks at its hash."""
    try:
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_private(path, text)
    except OSError as error:
        raise JobError(
            f"'{path.parent}', the folder for pseudonyms, cannot be written: {error.strerror}. "
            "Make room, or name another with the variable DRE_SLCL_CONFIG_DIR."
        ) from error
    return path
