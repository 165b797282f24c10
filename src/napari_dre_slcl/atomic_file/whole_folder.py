"""Write a folder whole or not at all: beside its name, flushed to disk, then renamed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_dre_slcl.atomic_file.aside import aside_of
from napari_dre_slcl.atomic_file.durable import (
    exchange,
    flush_folder,
    flush_tree,
    make_folder,
    move,
)
from napari_dre_slcl.atomic_file.reasons import telling

__all__ = ["atomic_folder"]


@contextmanager
def atomic_folder(path: Path, *, replaces: bool = False) -> Iterator[Path]:
    """Make a temporary folder that becomes ``path`` when the block ends well.

    Parameters
    ----------
    path : Path
        Target; the folder that holds it is made where it is missing. An empty folder of that name
        is replaced. An error in the block leaves it as it was.
    replaces : bool
        Whether a folder with something in it is replaced too. Linux does so in one step; elsewhere
        a process that is killed between two renames leaves none under the name.

    Yields
    ------
    Path
        The temporary folder, in the same folder.

    Raises
    ------
    OSError
        If it cannot be written, or ``path`` is there and not to be replaced.
    """
    make_folder(path.parent)
    aside = aside_of(path)
    try:
        with telling(path, aside):
            aside.mkdir()
            yield aside
            flush_tree(aside)
            if replaces and path.exists():
                _replace(aside, path)
            else:
                with suppress(FileNotFoundError):
                    path.rmdir()  # fails where there is something in it
                move(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _replace(aside: Path, path: Path) -> None:
    """Let two folders change names; afterwards the old one lies aside."""
    if not exchange(aside, path):
        old = aside_of(path)
        path.rename(old)
        try:
            aside.rename(path)
        except OSError:
            old.rename(path)
            raise
        old.rename(aside)
    flush_folder(path.parent)
