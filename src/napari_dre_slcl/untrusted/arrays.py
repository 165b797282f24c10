"""npy and npz files from strangers: shapes are compared with the file before an array is made."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_dre_slcl.untrusted.bounds import (
    MOST_GROWTH,
    SMALL_BYTES,
    UntrustedError,
    check_array,
    open_plain,
)

__all__ = ["ArchiveReader", "map_npy", "open_npz", "read_npy"]

_MOST_MEMBERS = 1000
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What garbled headers and archives raise besides ValueError.
_DAMAGED = (
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    EOFError,
    SyntaxError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class ArchiveReader:
    """Arrays of an npz file by name, each read when it is asked for.

    Parameters
    ----------
    archive : ZipFile
        Open.
    n_bytes : int
        Length of its file.
    """

    def __init__(self, archive: zipfile.ZipFile, n_bytes: int) -> None:
        self._archive = archive
        self._left = SMALL_BYTES + MOST_GROWTH * n_bytes
        self._n_bytes = n_bytes

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self._archive.NameToInfo

    def __iter__(self) -> Iterator[str]:
        names = self._archive.namelist()
        return (name.removesuffix(".npy") for name in names if name.endswith(".npy"))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Read an array.

        Raises
        ------
        UntrustedError
            If there is none, it is damaged, or takes far more than the file.
        """
        if name not in self:
            raise UntrustedError(f"it has no array '{name}'")
        try:
            info = self._archive.getinfo(f"{name}.npy")
            # Parts of an archive may lie over each other: what counts is how much was read of all.
            self._left -= info.file_size
            if self._left < 0 or info.compress_type not in _PLAIN:
                raise UntrustedError(f"its array '{name}' is packed as no honest file packs it")
            with self._archive.open(info) as stream:
                return _read_array(stream, info.file_size, self._n_bytes)
        except _DAMAGED as error:
            raise UntrustedError(f"its array '{name}' is damaged") from error


@contextmanager
def open_npz(path: Path) -> Iterator[ArchiveReader]:
    """Open an npz file.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UntrustedError
        If it is none.
    OSError
        If it cannot be read.
    """
    with open_plain(path) as (stream, n_bytes):
        try:
            archive = zipfile.ZipFile(stream)
            is_large = len(archive.namelist()) > _MOST_MEMBERS
        except (*_DAMAGED, ValueError) as error:
            raise UntrustedError("it is no archive of arrays, or cut short") from error
        with archive:
            if is_large:
                raise UntrustedError("it is an archive of very many files")
            yield ArchiveReader(archive, n_bytes)


def read_npy(path: Path, most: int | None = None) -> NDArray[Any]:
    """Read an npy file.

    Parameters
    ----------
    path : Path
        The file.
    most : int, optional
        Greatest size of the array in bytes.

    Returns
    -------
    ndarray
        Of the shape and type that the file states.

    Raises
    ------
    UntrustedError
        If it is none, is cut short, holds Python objects, or is larger than ``most``.
    OSError
        If it cannot be read.
    """
    with open_plain(path) as (stream, n_bytes):
        if most is not None and n_bytes > most:
            raise UntrustedError(f"it is longer than {most:,} bytes")
        return read_npy_stream(stream, n_bytes)


def read_npy_stream(stream: BinaryIO, n_bytes: int) -> NDArray[Any]:
    """Read an npy file that is open, of so many bytes; raises as `read_npy`.

    Parameters
    ----------
    stream : file
        Open for reading, at the array's begin.
    n_bytes : int
        How long the file is.

    Returns
    -------
    ndarray
        Of the shape and type that the file states.
    """
    try:
        return _read_array(stream, n_bytes, n_bytes)
    except _DAMAGED as error:
        raise UntrustedError("it is no npy file, or damaged") from error


def map_npy(path: Path) -> NDArray[Any]:
    """Map an npy file, to read alone; raises as `read_npy`, and where it is a link.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    ndarray
        Of the shape and type that the file states.
    """
    if path.is_symlink():
        raise UntrustedError("it is a link; put a copy of the file there")
    try:
        with open_plain(path) as (stream, n_bytes):
            shape, is_fortran, dtype = _header(stream)
            start = stream.tell()
        if check_array(shape, dtype, n_bytes) > n_bytes - start:
            raise UntrustedError("it is cut short")
        order = "F" if is_fortran else "C"
        if 0 in shape:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", start, shape, order)  # type: ignore[call-overload,no-any-return]
    except _DAMAGED as error:
        raise UntrustedError("it is no npy file, or damaged") from error


def _read_array(stream: Any, n_bytes: int, n_stored: int) -> NDArray[Any]:
    """Read header and numbers from a stream that says to have so many bytes."""
    start = stream.tell()
    shape, is_fortran, dtype = _header(stream)
    n_held = check_array(shape, dtype, n_stored)
    if n_held > n_bytes - (stream.tell() - start):
        raise UntrustedError("an array of it is cut short")
    try:
        array = np.empty(shape[::-1] if is_fortran else shape, dtype)
    except MemoryError as error:
        raise UntrustedError(f"its {n_held / 2**30:,.1f} GiB do not fit into memory") from error
    into: Any = array.reshape(-1).view(np.uint8) if n_held else np.empty(0, np.uint8)
    done = 0
    while done < n_held:
        count = stream.readinto(memoryview(into[done:]))
        if not count:
            raise UntrustedError("an array of it is cut short")
        done += count
    return array.T if is_fortran else array


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise UntrustedError("it is an npy file of another version")
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = readers[version](stream)
    return found
