"""What ``index.json`` of an index folder says: which shards and arrays, of which slides.

An index folder holds ``index.json``, a folder of arrays for each shard under ``shards/``, a folder
``data-N`` of arrays that are small, and where there are very many tiles compressed ``codes/`` of
them. All that a header names is never changed again, so that a new header takes the place of an old
one in a single step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.hits import IndexedSlide

__all__ = [
    "CODES_FOLDER",
    "DATA_PREFIX",
    "INDEX_FILE",
    "INDEX_FORMAT",
    "PER_TILE",
    "SHARDS_FOLDER",
    "CodesFacts",
    "IndexHeader",
    "ShardFacts",
    "damaged",
    "read_header",
]

INDEX_FILE = "index.json"
INDEX_FORMAT = 2
SHARDS_FOLDER, CODES_FOLDER, DATA_PREFIX = "shards", "codes", "data-"
PER_TILE = {
    "features": np.float32,
    "rowcol": np.int32,
    "codeword": np.int32,
    "attention": np.float32,
    "residual_norm": np.float32,
}
"""Arrays of a shard with one row per tile, and of what."""
_READABLE = (1, INDEX_FORMAT)


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """One shard.

    Parameters
    ----------
    name : str
        Of its folder; equal only where its content is equal.
    n_slides, n_tiles : int
        How many it holds.
    """

    name: str
    n_slides: int
    n_tiles: int


@dataclass(frozen=True, slots=True)
class CodesFacts:
    """Compressed codes of all tiles, and how well they find the nearest.

    Parameters
    ----------
    name : str
        Of their folder.
    files : tuple of str
        One per shard, in the same order.
    sizes : tuple of int
        Of these files, in bytes.
    n_trained : int
        Tiles in the index when the codes were fitted.
    n_probes : int
        Lists that a search looks at.
    recall : float
        Share of the 12 nearest tiles of other slides that are found, 0 to 1.
    n_questions : int
        Tiles that ``recall`` was measured on.
    """

    name: str
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    n_trained: int
    n_probes: int
    recall: float
    n_questions: int


@dataclass(frozen=True, slots=True)
class IndexHeader:
    """All that ``index.json`` says; fields as of `TileIndex` and `IndexFacts`.

    Parameters
    ----------
    data : str
        Folder of the small arrays; of all arrays in format 1.
    slides : tuple of IndexedSlide
        In the order of their rows.
    marks : tuple of str
        What each slide's part of the index was made from; empty in format 1.
    shards : tuple of ShardFacts
        Empty in format 1.
    codes : CodesFacts or None
        Where there are any.
    notes : mapping of str to str
        What is to be told of a slide, by its ``slide_id``.
    n_tiles : int
        N.
    """

    format: int
    model: str
    model_sha256: str
    method: str
    n_codewords: int
    dim: int
    seed: int
    tasks: tuple[str, ...]
    atlas_method: str
    data: str
    slides: tuple[IndexedSlide, ...]
    marks: tuple[str, ...] = ()
    shards: tuple[ShardFacts, ...] = ()
    codes: CodesFacts | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    n_tiles: int = 0

    def members(self) -> list[tuple[str, ...]]:
        """Return the slides of each shard."""
        ids, first, found = [slide.slide_id for slide in self.slides], 0, []
        for shard in self.shards:
            found.append(tuple(ids[first : first + shard.n_slides]))
            first += shard.n_slides
        return found

    def as_json(self, folder: Path) -> dict[str, Any]:
        """Return what is written; paths within the folder are relative, so that it may move."""
        said = asdict(self)
        for record in said["slides"]:
            path = record["result"]
            inside = path.is_relative_to(folder)
            record["result"] = str(path.relative_to(folder) if inside else path.absolute())
        return said


def read_header(folder: Path) -> IndexHeader:
    """Read the header of an index.

    Raises
    ------
    SearchError
        If there is none, or it is damaged or of another version.
    """
    try:
        said = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise SearchError(
            f"'{folder}' is no index of a cohort: '{INDEX_FILE}' cannot be read "
            f"({error.strerror}). Make one with 'Make searchable…' or 'dre-slcl index'."
        ) from error
    except ValueError as error:
        raise SearchError(damaged(folder)) from error
    try:
        return _parsed(folder, said)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SearchError(damaged(folder)) from error


def _parsed(folder: Path, said: dict[str, Any]) -> IndexHeader:
    if said["format"] not in _READABLE:
        raise ValueError("unknown format")
    slides = tuple(_slide(folder, record) for record in said.pop("slides"))
    shards = tuple(_shard(record) for record in said.pop("shards", ()))
    codes = said.pop("codes", None)
    header = IndexHeader(
        **said
        | {
            "data": Path(str(said["data"])).name,  # never outside the index
            "tasks": tuple(said["tasks"]),
            "marks": tuple(said.get("marks", ())),
            "notes": dict(said.get("notes", {})),
        },
        slides=slides,
        shards=shards,
        codes=None if codes is None else _codes(codes),
    )
    if said["format"] == INDEX_FORMAT:
        _check_sums(header)
    return header


def _shard(record: dict[str, Any]) -> ShardFacts:
    return ShardFacts(**record | {"name": Path(str(record["name"])).name})


def _codes(record: dict[str, Any]) -> CodesFacts:
    files = tuple(Path(str(name)).name for name in record["files"])
    sizes = tuple(int(size) for size in record["sizes"])
    name = Path(str(record["name"])).name
    return CodesFacts(**record | {"name": name, "files": files, "sizes": sizes})


def _check_sums(header: IndexHeader) -> None:
    """Compare what the shards hold with the slides."""
    first = 0
    for shard in header.shards:
        own = header.slides[first : first + shard.n_slides]
        first += shard.n_slides
        if sum(slide.n_tiles for slide in own) != shard.n_tiles:
            raise ValueError(f"shard {shard.name} has another number of tiles than its slides")
    if first != len(header.slides) or len(header.marks) != len(header.slides):
        raise ValueError("shards have another number of slides than the index")
    if header.codes is not None and len(header.codes.files) != len(header.shards):
        raise ValueError("there are not codes of each shard")


def _slide(folder: Path, fields: dict[str, Any]) -> IndexedSlide:
    shape = tuple(fields["slide_shape"])
    changed = {"slide_shape": shape, "result": folder / fields["result"]}
    return IndexedSlide(**fields | changed)


def damaged(folder: Path) -> str:
    """Return the sentence for an index that cannot be used."""
    return f"The index '{folder}' is damaged or of another version. Make it again."
