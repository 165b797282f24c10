"""Write a file whole or not at all: beside its name, flushed to disk, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from napari_dre_slcl.atomic_file.aside import aside_of
from napari_dre_slcl.atomic_file.durable import flush_folder, flush_stream, make_folder, move
from napari_dre_slcl.atomic_file.reasons import telling

__all__ = [
    "atomic_path",
    "atomic_writer",
    "create_once",
    "write_bytes",
    "write_json",
    "write_private",
    "write_text",
]


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Name a temporary file that becomes ``path`` when the block ends well.

    For libraries that write by name; otherwise take `atomic_writer`.

    Parameters
    ----------
    path : Path
        Target; its folder is made where it is missing. An error in the block leaves it as it was.

    Yields
    ------
    Path
        Of the temporary file, in the same folder. The block must make it.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    make_folder(path.parent)
    aside = aside_of(path)
    try:
        with telling(path, aside):
            yield aside
            with aside.open("rb+") as stream:
                flush_stream(stream)
            move(aside, path)
    finally:
        with suppress(OSError):  # the first error counts, and a later start cleans up
            aside.unlink(missing_ok=True)


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        Target; its folder is made where it is missing. An error in the block leaves it as it was.

    Yields
    ------
    BinaryIO
        The open file.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    make_folder(path.parent)
    aside = aside_of(path)
    try:
        with telling(path, aside), aside.open("xb") as stream:
            yield stream
            flush_stream(stream)
        with telling(path, aside):
            move(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced where it is there.
    content : bytes
        All of it.
    """
    with atomic_writer(path) as stream:
        stream.write(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced where it is there.
    text : str
        All of it.
    """
    write_bytes(path, text.encode())


def write_private(path: Path, text: str) -> None:
    """Write UTF-8 text that its user alone may read, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced where it is there.
    text : str
        All of it.
    """
    make_folder(path.parent)
    aside = aside_of(path)
    try:
        with _private_file(aside) as stream:
            stream.write(text.encode())
            flush_stream(stream)
        move(aside, path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _private_file(path: Path) -> BinaryIO:
    """Make a file that was never readable by others, not even for a moment."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced where it is there.
    value : object
        What JSON can say.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def create_once(path: Path, content: bytes, *, is_private: bool = False) -> bool:
    """Write a file that must not be there yet, whole, also where several processes try at once.

    Parameters
    ----------
    path : Path
        Target; its folder must exist.
    content : bytes
        All of it.
    is_private : bool, default False
        Only its user may read it.

    Returns
    -------
    bool
        False where it is there already; then it stays as it is.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    aside = aside_of(path)
    try:
        with _private_file(aside) if is_private else aside.open("xb") as stream:
            stream.write(content)
            flush_stream(stream)
        try:
            os.link(aside, path)  # a link appears at once, on network drives as well
        except PermissionError:  # a drive that knows no links
            with _private_file(path) if is_private else path.open("xb") as stream:
                stream.write(content)
                flush_stream(stream)
        flush_folder(path.parent)
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return True
