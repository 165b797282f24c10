"""Fits and writes the compressed codes of very many tiles, shard by shard; faiss does the work."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer, write_json
from napari_dre_slcl.insight.code_recall import (
    QUESTIONS_FILE,
    SLIDES_FILE,
    NearestOfShard,
    measure,
)
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_header import CodesFacts, IndexHeader, ShardFacts
from napari_dre_slcl.insight.rows import ShardRows
from napari_dre_slcl.insight.tile_codes import FITTED_FILE, ROW_BITS, TileCodes, shard_number

__all__ = ["CodeSizes", "write_codes"]

_BLOCK_ROWS = 2**16
_BITS = 8
_ROUNDS = 10
_SEED = 1234


@dataclass(frozen=True, slots=True)
class CodeSizes:
    """How large codes are, and on what they are fitted.

    Parameters
    ----------
    most_lists : int
        Lists at most; there is one per square root of N tiles, rounded up to a power of 2.
    per_list : int
        Tiles per list that they are fitted on.
    most_fitted_mib : int
        Memory of these tiles at most.
    numbers_per_byte : int
        Numbers of a feature that one byte of a code stands for, at least.
    most_bytes : int
        Of a code, at most.
    n_questions : int
        Tiles that are looked for to measure what is found.
    """

    most_lists: int = 16_384
    per_list: int = 32
    most_fitted_mib: int = 512
    numbers_per_byte: int = 4
    most_bytes: int = 96
    n_questions: int = 64

    def n_lists(self, n_tiles: int) -> int:
        """Return how many lists so many tiles are sorted into."""
        wanted = 2 ** int(np.ceil(np.log2(max(1.0, n_tiles**0.5))))
        return min(wanted, self.most_lists)

    def n_fitted(self, n_tiles: int, dim: int) -> int:
        """Return how many of so many tiles codes are fitted on."""
        room = self.most_fitted_mib * 2**20 // (4 * dim)
        return int(min(n_tiles, room, max(2**_BITS, self.per_list * self.n_lists(n_tiles))))

    def n_bytes(self, dim: int) -> int:
        """Return the bytes of a code; each stands for as many numbers of a feature."""
        most = max(1, min(dim // self.numbers_per_byte, self.most_bytes))
        return next(size for size in range(most, 0, -1) if dim % size == 0)


def write_codes(
    folder: Path,
    before: IndexHeader | None,
    shards: Sequence[ShardFacts],
    slides: Sequence[IndexedSlide],
    features: ShardRows[np.float32],
    sizes: CodeSizes,
    on_progress: Callable[[str, int, int], None],
) -> CodesFacts:
    """Write the codes of all shards that have none, and measure what they find.

    Parameters
    ----------
    folder : Path
        Of all codes of the index.
    before : IndexHeader or None
        Of the index that is there: its codes are kept while the tiles are half to twice as many
        as those that they were fitted to.
    shards : sequence of ShardFacts
        In the order of the index.
    slides : sequence of IndexedSlide
        With their first rows.
    features : ShardRows
        (N, d) unit rows.
    sizes : CodeSizes
        How large codes are.
    on_progress : callable
        Told what is done, and how much of how much.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    on_progress("Fitting the codes of tiles", 0, 1)
    name, n_trained = _kept(folder, before, len(features))
    if not name:
        name, n_trained = _fitted(folder, shards, slides, features, sizes), len(features)
    files = _encode(folder / name, shards, slides, features, on_progress)
    on_progress("Measuring the search", 0, 1)
    lengths = tuple((folder / name / file).stat().st_size for file in files)
    facts = CodesFacts(name, files, lengths, n_trained, 1, 0.0, 0)
    own_rows = {slide.slide_id: slide.rows for slide in slides}
    codes = TileCodes(folder / name, facts, _first_rows(shards))
    n_probes, recall, n_questions = measure(folder / name, codes, files, features, own_rows)
    return replace(facts, n_probes=n_probes, recall=recall, n_questions=n_questions)


def _first_rows(shards: Sequence[ShardFacts]) -> NDArray[np.int64]:
    sizes = [shard.n_tiles for shard in shards]
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def _kept(folder: Path, before: IndexHeader | None, n_tiles: int) -> tuple[str, int]:
    """Return name and tiles of an earlier index's codes, where they still fit."""
    codes = None if before is None else before.codes
    if codes is None or not (folder / codes.name / FITTED_FILE).is_file():
        return "", 0
    is_near = codes.n_trained / 2 <= n_tiles <= codes.n_trained * 2
    return (codes.name, codes.n_trained) if is_near else ("", 0)


def _fitted(
    folder: Path,
    shards: Sequence[ShardFacts],
    slides: Sequence[IndexedSlide],
    features: ShardRows[np.float32],
    sizes: CodeSizes,
) -> str:
    """Fit codes to a sample of tiles, unless that was done; return the name of their folder."""
    told = [[shard.name for shard in shards], asdict(sizes)]
    name = sha256(json.dumps(told).encode()).hexdigest()[:20]
    if (folder / name).is_dir():
        return name
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder, prefix=".aside-"))
    try:
        rng = np.random.default_rng(_SEED)
        asked = np.sort(rng.choice(len(features), sizes.n_questions, replace=False))
        with atomic_writer(aside / QUESTIONS_FILE) as stream:
            np.save(stream, features[asked], allow_pickle=False)
        ends = np.cumsum([slide.n_tiles for slide in slides])
        of_slide = np.searchsorted(ends, asked, side="right")
        write_json(aside / SLIDES_FILE, [slides[int(number)].slide_id for number in of_slide])
        _fit(aside / FITTED_FILE, features, sizes, rng)
        aside.chmod(0o755)
        aside.rename(folder / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return name


def _fit(
    path: Path, features: ShardRows[np.float32], sizes: CodeSizes, rng: np.random.Generator
) -> None:
    import faiss

    n_tiles, dim = features.shape
    drawn = rng.choice(n_tiles, sizes.n_fitted(n_tiles, dim), replace=False)
    sample = features[np.sort(drawn)]
    sample = sample[_is_usable(sample)]
    n_lists = max(1, min(sizes.n_lists(n_tiles), len(sample) // 4))
    index = faiss.IndexIVFPQ(faiss.IndexFlatL2(dim), dim, n_lists, sizes.n_bytes(dim), _BITS)
    # The tables take lists x bytes x 1 kB of memory, for little speed with one question at a time.
    index.use_precomputed_table = -1
    for clustering in (index.cp, index.pq.cp):
        clustering.niter, clustering.seed = _ROUNDS, _SEED
        clustering.min_points_per_centroid = 1  # no warning on the terminal
    index.train(sample)
    faiss.write_index(index, str(path))


def _encode(
    folder: Path,
    shards: Sequence[ShardFacts],
    slides: Sequence[IndexedSlide],
    features: ShardRows[np.float32],
    on_progress: Callable[[str, int, int], None],
) -> tuple[str, ...]:
    """Write the codes of each shard that has none; return the file of each."""
    known = {path.stem.partition("-")[2]: path.name for path in folder.glob("*.ivf")}
    free = max((shard_number(name) for name in known.values()), default=0) + 1
    encoder = _Encoder(folder)
    first = 0
    for number, (shard, start) in enumerate(zip(shards, _first_rows(shards), strict=True)):
        on_progress("Encoding the index", number, len(shards))
        own = slides[first : first + shard.n_slides]
        first += shard.n_slides
        if shard.name in known:
            continue
        rows = [(one.slide_id, slice(one.rows.start - start, one.rows.stop - start)) for one in own]
        known[shard.name] = f"{free:06d}-{shard.name}.ivf"
        encoder.write(folder / known[shard.name], features.shard(number), rows)
        free += 1
    return tuple(known[shard.name] for shard in shards)


class _Encoder:
    """Turns features into the codes that were fitted."""

    def __init__(self, folder: Path) -> None:
        import faiss

        self._faiss = faiss
        self._folder = folder
        self._index = faiss.read_index(str(folder / FITTED_FILE))

    def write(
        self, path: Path, features: NDArray[np.float32], slides: list[tuple[str, slice]]
    ) -> None:
        """Write the codes of one shard; what is nearest to the questions comes first."""
        lists = self._faiss.ArrayInvertedLists(self._index.nlist, self._index.code_size)
        self._index.replace_invlists(lists, False)
        self._index.ntotal = 0
        number = np.int64(shard_number(path.name)) << ROW_BITS
        nearest = NearestOfShard(self._folder, slides)
        for first in range(0, len(features), _BLOCK_ROWS):
            block = np.ascontiguousarray(features[first : first + _BLOCK_ROWS])
            nearest.add(block, first)
            usable = np.flatnonzero(_is_usable(block))
            self._index.add_with_ids(block[usable], number + first + usable)
        nearest.write(path.with_suffix(".npy"))
        self._write_lists(path, lists)

    def _write_lists(self, path: Path, lists: Any) -> None:
        faiss = self._faiss
        aside = path.with_name(f".{path.name}.part")
        try:
            writer = faiss.FileIOWriter(str(aside))
            faiss.write_InvertedLists(lists, writer)
            del writer  # closes the file
            aside.replace(path)
        except RuntimeError as error:  # faiss raises nothing else
            raise OSError(0, f"faiss could not write '{path.name}'") from error
        finally:
            aside.unlink(missing_ok=True)


def _is_usable(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which rows point somewhere; the others are like nothing."""
    return np.isfinite(rows).all(axis=1) & rows.any(axis=1)
