"""Look at the feature files of a whole cohort, by their folders' tables where these still hold."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from napari_dre_slcl.cohort.feature_index import IndexedFile, look_at, read_index, write_index
from napari_dre_slcl.cohort.feature_store import FeatureFile
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.remote import is_remote, remote_folder

__all__ = ["open_feature_files"]

_WORTH_A_TABLE = 100
"""Files of a folder that had to be opened, from which on a table is left for the next time."""


def open_feature_files(
    paths: Sequence[Path], on_file: Callable[[int, int], None] = lambda done, total: None
) -> list[FeatureFile]:
    """Look at many feature files without reading their features.

    Paths may be URLs. A file is opened only where the table of its folder (`feature_index`) does
    not know it, or knows it with another size or time of change.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    on_file : callable
        Is told now and then how many files are done, of how many; what it raises ends the work.

    Returns
    -------
    list of FeatureFile
        In the order of the paths.

    Raises
    ------
    SlideError
        What is wrong with the first file that cannot be used.
    """
    folders = dict.fromkeys(path.parent for path in paths)
    tables = {folder: read_index(folder) for folder in folders}
    found = {path: row for path in paths if (row := _current(tables[path.parent], path))}
    stale = [path for path in dict.fromkeys(paths) if path not in found]
    on_file(len(found), len(paths))
    for path, looked in zip(stale, look_at(stale), strict=True):
        if isinstance(looked, SlideError):
            raise looked
        found[path] = looked
        on_file(len(found), len(paths))
    for folder, count in Counter(path.parent for path in stale).items():
        if count >= _WORTH_A_TABLE:
            fresh = {path.name: found[path] for path in stale if path.parent == folder}
            write_index(folder, tables[folder] | fresh)
    return [found[path].file for path in paths]


def _current(table: dict[str, IndexedFile], path: Path) -> IndexedFile | None:
    row = table.get(path.name)
    if row is not None and is_remote(path):
        there = remote_folder(path.parent)
        return row if path.name in there and row.is_of_size(there[path.name]) else None
    try:
        return row if row is not None and row.is_current(os.stat(path)) else None
    except OSError:
        return None  # opening it says what is wrong
