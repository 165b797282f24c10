"""One table that says what every feature file of a folder holds, so that none need be opened.

It stands in the folder as ``index.parquet``. It is a convenience: a file that changed since, or is
not in it, is opened as if there were no table. Reading and writing it needs pyarrow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES, FeatureFile, open_features
from napari_dre_slcl.cohort.plain_parquet import plain_values, read_plain_parquet
from napari_dre_slcl.errors import CohortError, SlideError
from napari_dre_slcl.slide.remote import fetch, is_remote, remote_folder
from napari_dre_slcl.trial.kinds import PARQUET
from napari_dre_slcl.trial.proof import prove_file
from napari_dre_slcl.untrusted import check_array, parse_json, plain_name

__all__ = ["INDEX_NAME", "IndexedFile", "look_at", "read_index", "update_index", "write_index"]

INDEX_NAME = "index.parquet"

_FORMAT = {b"napari-dre-slcl feature index": b"1"}
_LEAST = np.dtype(np.uint8)
_LOOKERS = 8
"""Threads that open files: on a network drive each waits for its own answers."""


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A feature file as it was when it was looked at.

    Parameters
    ----------
    file : FeatureFile
        What it holds.
    n_bytes : int
        Its size.
    mtime_ns : int
        When it was written, in nanoseconds since 1970.
    """

    file: FeatureFile
    n_bytes: int
    mtime_ns: int

    @property
    def slide_id(self) -> str:
        """Name of the file without its suffix."""
        return self.file.path.stem

    @property
    def encoder(self) -> str:
        """Name of the tile encoder, empty where the file does not say."""
        return str(self.file.attrs.get("encoder", ""))

    def is_current(self, facts: os.stat_result) -> bool:
        """Whether the file is still as it was."""
        return (self.n_bytes, self.mtime_ns) == (facts.st_size, facts.st_mtime_ns)

    def is_of_size(self, n_bytes: int | None) -> bool:
        """Whether a remote file may still be as it was; its server may not say its size."""
        return n_bytes in (None, self.n_bytes)


def update_index(folder: Path) -> Path | None:
    """Write or renew the table of a folder; only files that are new or changed are opened.

    Files that cannot be read are left out. Two programs may do so at once: the later one wins.

    Parameters
    ----------
    folder : Path
        Where the feature files lie; folders inside are not searched.

    Returns
    -------
    Path or None
        The table; None where it cannot be written: no pyarrow, or a folder that is read-only or
        on another machine.

    Raises
    ------
    SlideError
        If there is no such folder.
    """
    if is_remote(folder):
        return None
    known = read_index(folder)
    found = _feature_files(folder)
    stale = [path for name, (path, facts) in found.items() if not _is_known(known, name, facts)]
    rows = {name: row for name, row in known.items() if name in found}
    rows |= {row.file.path.name: row for row in look_at(stale) if isinstance(row, IndexedFile)}
    if rows == known and (folder / INDEX_NAME).is_file():
        return folder / INDEX_NAME
    return write_index(folder, rows)


def read_index(folder: Path) -> dict[str, IndexedFile]:
    """Return the table of a folder by file name, whether or not the files are still the same.

    Parameters
    ----------
    folder : Path
        Where the feature files lie, or its URL.

    Returns
    -------
    dict of IndexedFile
        Empty where there is no table, it is damaged or of another version, or pyarrow is missing.

    Raises
    ------
    SlideError
        If the server of a URL does not answer.
    """
    try:
        import pyarrow
    except ImportError:
        return {}
    try:
        if is_remote(folder) and INDEX_NAME not in remote_folder(folder):
            return {}
        with fetch(folder / INDEX_NAME) if is_remote(folder) else nullcontext() as copy:
            path = folder / INDEX_NAME if copy is None else copy.path
            prove_file(path, PARQUET)
            table = read_plain_parquet(path, list(_COLUMNS))
        if not _FORMAT.items() <= (table.schema.metadata or {}).items():
            return {}
        columns = {name: plain_values(table.column(name)) for name in _COLUMNS}
        return {row.file.path.name: row for row in _rows(folder, columns)}
    except (
        CohortError,
        pyarrow.ArrowException,
        OSError,
        KeyError,
        ValueError,
        TypeError,
        OverflowError,
    ):
        return {}  # it is made anew


def write_index(folder: Path, rows: Mapping[str, IndexedFile]) -> Path | None:
    """Write the table of a folder, whole or not at all.

    Parameters
    ----------
    folder : Path
        Where the feature files lie.
    rows : mapping of IndexedFile
        By file name.

    Returns
    -------
    Path or None
        As `update_index`.
    """
    if is_remote(folder):
        return None
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        return None
    ordered = [rows[name] for name in sorted(rows)]
    columns = {name: [value(row) for row in ordered] for name, value in _VALUES.items()}
    types = {name: getattr(pyarrow, kind)() for name, kind in _COLUMNS.items()}
    table = pyarrow.table(columns, schema=pyarrow.schema(types, metadata=_FORMAT))
    try:
        with atomic_writer(folder / INDEX_NAME) as stream:
            parquet.write_table(table, stream, compression="zstd")
    except OSError:
        return None
    return folder / INDEX_NAME


def look_at(paths: Sequence[Path]) -> Iterator[IndexedFile | SlideError]:
    """Open feature files, several at a time.

    Yields
    ------
    IndexedFile or SlideError
        One for each path, in their order: what it holds, or why it cannot be used.
    """
    lookers = ThreadPoolExecutor(_LOOKERS, thread_name_prefix="feature-files")
    try:
        yield from lookers.map(_look, paths)
    finally:
        lookers.shutdown(cancel_futures=True)


def _look(path: Path) -> IndexedFile | SlideError:
    try:
        if is_remote(path):
            return IndexedFile(open_features(path), n_bytes=0, mtime_ns=0)
        facts = path.stat()  # before it is opened: what is written meanwhile is looked at anew
        return IndexedFile(open_features(path), facts.st_size, facts.st_mtime_ns)
    except SlideError as error:
        return error
    except OSError as error:
        is_gone = isinstance(error, FileNotFoundError)
        what = "does not exist" if is_gone else f"cannot be read ({error.strerror})"
        return SlideError(f"The feature file '{path}' {what}.")


def _feature_files(folder: Path) -> dict[str, tuple[Path, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name: (folder / entry.name, entry.stat())
                for entry in entries
                if os.path.splitext(entry.name)[1] in FEATURE_SUFFIXES and entry.is_file()
            }
    except OSError as error:
        raise SlideError(
            f"The folder of feature files '{folder}' cannot be read ({error.strerror})."
        ) from error


def _is_known(known: Mapping[str, IndexedFile], name: str, facts: os.stat_result) -> bool:
    return name in known and known[name].is_current(facts)


def _rows(folder: Path, columns: Mapping[str, list[Any]]) -> Iterable[IndexedFile]:
    names = ("file", "n_tiles", "dim", "has_coords", "attrs", "bytes", "mtime_ns")
    for name, n_tiles, dim, has_coords, attrs, n_bytes, mtime_ns in zip(
        *(columns[name] for name in names), strict=True
    ):
        found = parse_json(attrs)
        if min(n_tiles, dim) < 1 or not isinstance(found, dict):
            raise ValueError("a row is of no file of features")
        check_array((n_tiles, dim), _LEAST, n_bytes)
        file = FeatureFile(folder / plain_name(name), n_tiles, dim, bool(has_coords), found)
        yield IndexedFile(file, n_bytes, mtime_ns)


_COLUMNS = {
    "slide_id": "string",
    "file": "string",
    "n_tiles": "int64",
    "dim": "int32",
    "has_coords": "bool_",
    "mpp": "float64",
    "tile_size_px": "int64",
    "bytes": "int64",
    "mtime_ns": "int64",
    "encoder": "string",
    "attrs": "string",
}
"""Names and types; mpp and tile size stand for readers other than this one."""

_VALUES: dict[str, Any] = {
    "slide_id": lambda row: row.slide_id,
    "file": lambda row: row.file.path.name,
    "n_tiles": lambda row: row.file.n_tiles,
    "dim": lambda row: row.file.dim,
    "has_coords": lambda row: row.file.has_coords,
    "mpp": lambda row: row.file.mpp,
    "tile_size_px": lambda row: row.file.tile_size_px,
    "bytes": lambda row: row.n_bytes,
    "mtime_ns": lambda row: row.mtime_ns,
    "encoder": lambda row: row.encoder,
    "attrs": lambda row: json.dumps(row.file.attrs),
}
