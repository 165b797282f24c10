"""Deletes what a header of an index does not name: earlier shards, and what was half written."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from napari_dre_slcl import atomic_file
from napari_dre_slcl.insight.index_header import (
    CODES_FOLDER,
    DATA_PREFIX,
    SHARDS_FOLDER,
    IndexHeader,
)

__all__ = ["delete_all_but", "delete_left_over"]


def delete_left_over(folder: Path) -> None:
    """Delete what a process that was killed had half written."""
    for place in (folder, folder / SHARDS_FOLDER, folder / CODES_FOLDER):
        atomic_file.delete_left_over(place)


def delete_all_but(folder: Path, header: IndexHeader) -> None:
    """Delete what is of earlier indices; a window that still looks at one may hinder it."""
    codes = set() if header.codes is None else {header.codes.name}
    kept = {
        f"{DATA_PREFIX}*": {header.data},
        f"{SHARDS_FOLDER}/*": {shard.name for shard in header.shards},
        f"{CODES_FOLDER}/*": codes,
    }
    for pattern, names in kept.items():
        for path in folder.glob(pattern):
            if path.name not in names:
                shutil.rmtree(path, ignore_errors=True)
    if header.codes is not None:
        files = {name.removesuffix(".ivf") for name in header.codes.files}
        for path in (folder / CODES_FOLDER / header.codes.name).glob("*-*"):
            if path.stem not in files:
                with suppress(OSError):  # still mapped, on Windows
                    path.unlink()
