"""What ``index.json`` of an index folder says: which shards and arrays, of which slides.

An index folder holds ``index.json``, a folder of arrays for each shard under ``shards/``, a folder
``data-N`` of arrays that are small, and where there are very many tiles compressed ``codes/`` of
them. All that a header names is never changed again, so that a new header takes the place of an old
one in a single step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.untrusted import inside, plain_name, read_json

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
    "row_shapes",
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
# A slide takes about a thousand.
_MOST_BYTES = 2**28


def row_shapes(dim: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of one row of the arrays of `PER_TILE` that hold more than a number."""
    return {"features": (dim,), "rowcol": (2,)}


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


_HEADER = TypeAdapter(IndexHeader)
"""Its types are checked when it is read: a file that was edited must not fail in a search."""


def read_header(folder: Path) -> IndexHeader:
    """Read the header of an index.

    Raises
    ------
    SearchError
        If there is none, or it is damaged or of another version.
    """
    try:
        said = read_json(inside(folder, INDEX_FILE), _MOST_BYTES)
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
    codes = said.get("codes")
    header = _HEADER.validate_python(
        said
        | {
            "data": _within(said["data"]),
            "slides": [record | {"result": folder / record["result"]} for record in said["slides"]],
            "shards": [
                record | {"name": _within(record["name"])} for record in said.get("shards", ())
            ],
            "codes": None if codes is None else _codes(codes),
        }
    )
    _check_rows(header)
    if header.format == INDEX_FORMAT:
        _check_sums(header)
    return header


def _codes(record: dict[str, Any]) -> dict[str, Any]:
    files = [_within(name) for name in record["files"]]
    return record | {"name": _within(record["name"]), "files": files}


def _within(name: Any) -> str:
    """Return a name of a file or folder of the index itself, never of one outside it."""
    return plain_name(name)


def _check_rows(header: IndexHeader) -> None:
    """Refuse rows of slides that do not follow each other: tiles would be shown as another's."""
    first = 0
    for slide in header.slides:
        if slide.n_tiles < 0 or slide.first_row != first:
            raise ValueError(f"slide {slide.slide_id} has rows of others")
        first += slide.n_tiles


def _check_sums(header: IndexHeader) -> None:
    """Compare what the shards hold with the slides."""
    first = 0
    for shard in header.shards:
        own = header.slides[first : first + shard.n_slides]
        first += shard.n_slides
        if sum(slide.n_tiles for slide in own) != shard.n_tiles:
            raise ValueError(f"shard {shard.name} has another number of tiles than its slides")
    if header.n_tiles != sum(shard.n_tiles for shard in header.shards):
        raise ValueError("the index has another number of tiles than its shards")
    if first != len(header.slides) or len(header.marks) != len(header.slides):
        raise ValueError("shards have another number of slides than the index")
    if header.codes is not None and len(header.codes.files) != len(header.shards):
        raise ValueError("there are not codes of each shard")
    if header.codes is not None and header.codes.n_probes < 1:
        raise ValueError("a search would look at no list")


def damaged(folder: Path) -> str:
    """Return the sentence for an index that cannot be used."""
    return f"The index '{folder}' is damaged or of another version. Make it again."
