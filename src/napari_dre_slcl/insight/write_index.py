"""Writes a cohort's index: shards that are new, then what sums them up, then the header.

An index that is there stays whole until the new header takes its place; shards that were written
when the process was killed are found again by their name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.atlas import atlas_method
from napari_dre_slcl.insight.fit_codes import CodeSizes
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_cleanup import delete_all_but, delete_left_over
from napari_dre_slcl.insight.index_header import (
    CODES_FOLDER,
    INDEX_FILE,
    INDEX_FORMAT,
    SHARDS_FOLDER,
    IndexHeader,
    read_header,
)
from napari_dre_slcl.insight.index_part import IndexFacts, IndexSource
from napari_dre_slcl.insight.rows import MapPool, ShardRows
from napari_dre_slcl.insight.search_note import MOST_EXACT
from napari_dre_slcl.insight.shard_plan import SHARD_TILES, plan_shards
from napari_dre_slcl.insight.tile_codes import has_faiss
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_codes import write_codes
from napari_dre_slcl.insight.write_shard import shard_facts, write_shard
from napari_dre_slcl.insight.write_summary import write_summary
from napari_dre_slcl.locks.lock_file import BusyError, hold

__all__ = ["IndexOptions", "WrittenIndex", "write_index"]

_LOCK_FILE = ".lock"

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """How an index is laid out.

    Parameters
    ----------
    shard_tiles : int
        About so many tiles are in a shard.
    most_exact : int
        With more tiles, compressed codes of them are made.
    codes : CodeSizes
        How large these are.
    """

    shard_tiles: int = SHARD_TILES
    most_exact: int = MOST_EXACT
    codes: CodeSizes = field(default_factory=CodeSizes)


@dataclass(frozen=True, slots=True)
class WrittenIndex:
    """What was done.

    Parameters
    ----------
    folder : Path
        Of the index.
    header : IndexHeader
        As it was written.
    n_written, n_kept : int
        Shards that were written, and that were there.
    lacks_faiss : bool
        Whether there are so many tiles that codes are wanted, and no faiss to make them.
    """

    folder: Path
    header: IndexHeader
    n_written: int
    n_kept: int
    lacks_faiss: bool


def write_index(
    folder: Path,
    facts: IndexFacts,
    sources: Sequence[IndexSource],
    options: IndexOptions | None = None,
    on_progress: OnProgress = lambda stage, done, total: None,
) -> WrittenIndex:
    """Write an index; one that is there stays usable until the new one is whole.

    Shards whose slides are the same as before are kept. Whatever is raised within, also by
    ``on_progress``, leaves the shards that are done, and the next call goes on from there.

    Parameters
    ----------
    folder : Path
        Target; made where it is missing.
    facts : IndexFacts
        What made it.
    sources : sequence of IndexSource
        The slides, at least one. An index that is there keeps the order of its slides.
    options : IndexOptions, optional
        How it is laid out.
    on_progress : callable
        Told what is done, and how much of how much.

    Raises
    ------
    SearchError
        If it cannot be written, another process writes it, or features are not one row per tile.
    """
    if not sources:
        raise SearchError("An index of no slide at all is of no use. Give a cohort with slides.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / _LOCK_FILE, keeps_if_stopped=True):
            return _Writer(folder, facts, sources, options or IndexOptions(), on_progress).write()
    except BusyError as error:
        raise SearchError(
            f"Another process is making the index '{folder}': {error}. Wait for it, or choose "
            "another folder."
        ) from error
    except OSError as error:
        raise SearchError(
            f"The index '{folder}' cannot be written: {error.strerror or error}. What was there "
            "before has stayed. Make room, or choose another folder."
        ) from error


class _Writer:
    """One index while it is written."""

    def __init__(
        self,
        folder: Path,
        facts: IndexFacts,
        sources: Sequence[IndexSource],
        options: IndexOptions,
        on_progress: OnProgress,
    ) -> None:
        self._folder = folder
        self._facts = facts
        self._options = options
        self._on_progress = on_progress
        self._before = _before(folder, facts)
        by_id = {source.slide.slide_id: source for source in sources}
        plan = plan_shards(
            {name: source.slide.n_tiles for name, source in by_id.items()},
            [] if self._before is None else self._before.members(),
            options.shard_tiles,
        )
        self._members = [[by_id[name] for name in names] for names in plan]
        self._shards = tuple(shard_facts(facts, members) for members in self._members)

    def write(self) -> WrittenIndex:
        """Write all that is not there yet, then the header, then delete what it does not name."""
        delete_left_over(self._folder)
        n_written = self._write_shards()
        slides = self._slides()
        n_tiles = sum(shard.n_tiles for shard in self._shards)
        wants_codes = n_tiles > self._options.most_exact
        codes = None
        if wants_codes and has_faiss():
            codes = write_codes(
                self._folder / CODES_FOLDER,
                self._before,
                self._shards,
                slides,
                self._rows("features"),
                self._options.codes,
                self._on_progress,
            )
        header = IndexHeader(
            format=INDEX_FORMAT,
            **asdict(self._facts) | {"tasks": tuple(self._facts.tasks)},
            atlas_method=atlas_method(),
            data=self._data(n_tiles),
            slides=slides,
            marks=tuple(source.mark for members in self._members for source in members),
            shards=self._shards,
            codes=codes,
            notes={
                source.slide.slide_id: source.note
                for members in self._members
                for source in members
                if source.note
            },
            n_tiles=n_tiles,
        )
        if header != self._before:
            write_json(self._folder / INDEX_FILE, header.as_json(self._folder))
        delete_all_but(self._folder, header)
        lacks_faiss = wants_codes and codes is None
        n_kept = len(self._shards) - n_written
        return WrittenIndex(self._folder, header, n_written, n_kept, lacks_faiss)

    def _write_shards(self) -> int:
        n_written, total = 0, len(self._shards)
        for number, (shard, members) in enumerate(zip(self._shards, self._members, strict=True)):
            self._on_progress("Writing the index", number, total)
            target = self._folder / SHARDS_FOLDER
            is_named = self._before is not None and shard in self._before.shards
            n_written += write_shard(target, shard, self._facts, members, is_named=is_named)
        self._on_progress("Writing the index", total, total)
        return n_written

    def _slides(self) -> tuple[IndexedSlide, ...]:
        placed, first = [], 0
        for members in self._members:
            for source in members:
                placed.append(replace(source.slide, first_row=first))
                first += source.slide.n_tiles
        return tuple(placed)

    def _rows(self, name: str) -> ShardRows[np.float32]:
        files = [
            self._folder / SHARDS_FOLDER / shard.name / f"{name}.npy" for shard in self._shards
        ]
        counts = [shard.n_tiles for shard in self._shards]
        width = (self._facts.dim,) if name == "features" else ()
        return ShardRows(MapPool(), files, counts, np.float32, width)

    def _data(self, n_tiles: int) -> str:
        """Write the arrays that sum up the shards, unless these are those of before."""
        before = self._before
        if (
            before is not None
            and before.shards == self._shards
            and before.atlas_method == atlas_method()
            and before.seed == self._facts.seed
            and _opens(self._folder)
        ):
            return before.data
        self._on_progress("Drawing the atlas", 0, 1)
        folders = [self._folder / SHARDS_FOLDER / shard.name for shard in self._shards]
        return write_summary(
            self._folder,
            folders,
            n_tiles,
            self._rows("features"),
            self._rows("attention"),
            self._facts.seed,
        )


def _opens(folder: Path) -> bool:
    """Return whether the index that is there can be used."""
    try:
        TileIndex.open(folder)
    except SearchError:
        return False
    return True


def _before(folder: Path, facts: IndexFacts) -> IndexHeader | None:
    """Return the header of an index of the same model that is there, if there is one."""
    try:
        before = read_header(folder)
    except SearchError:
        return None  # none, damaged, or of another version: all is written anew
    is_same = before.model_sha256 == facts.model_sha256 and before.dim == facts.dim
    return before if is_same and before.format == INDEX_FORMAT else None
