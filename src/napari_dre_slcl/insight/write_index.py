"""Writes a cohort's index whole or not at all: new arrays first, then the file that names them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.atlas import atlas_method, atlas_sample, project
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.tile_index import INDEX_FILE, INDEX_FORMAT
from napari_dre_slcl.results import SlideResult

__all__ = ["IndexFacts", "IndexPart", "index_part", "write_index"]

_DATA = "data-"


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What made an index.

    Parameters
    ----------
    model, model_sha256, method : str
        Folder of the model, hash of its weights, its method.
    n_codewords : int
        K.
    dim : int
        Width of a tile's feature.
    seed : int
        Of the sample of tiles that the atlas draws.
    tasks : tuple of str
        Label columns that the model has learned.
    """

    model: str
    model_sha256: str
    method: str
    n_codewords: int
    dim: int
    seed: int = 0
    tasks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class IndexPart:
    """One slide for the index, without the features of its tiles.

    Parameters
    ----------
    slide : IndexedSlide
        Its ``first_row`` does not count.
    rowcol, codeword, attention, residual_norm : ndarray
        (n, 2), (n,), (n,), (n,) of its tiles, as in `TileIndex`.
    slide_vector : ndarray
        (D,).
    """

    slide: IndexedSlide
    rowcol: NDArray[np.int32]
    codeword: NDArray[np.int32]
    attention: NDArray[np.float32]
    residual_norm: NDArray[np.float32]
    slide_vector: NDArray[np.float32]


def index_part(
    result: SlideResult,
    file: Path,
    patient_id: str = "",
    labels: dict[str, str] | None = None,
    split: str = "",
    has_features: bool = True,
) -> IndexPart:
    """Return a result as a part of an index.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    file : Path
        Its result file.
    patient_id, labels, split
        As in the cohort table.
    has_features : bool
        False leaves its tiles out: only the slide itself can be found then.
    """
    kept = slice(None) if has_features else slice(0)
    slide = IndexedSlide(
        slide_id=result.slide_id,
        patient_id=patient_id,
        path=result.slide_path,
        result=file,
        n_tiles=len(result.rowcol[kept]),
        first_row=0,
        mpp=result.mpp,
        tile_size_px=result.tile_size_px,
        slide_shape=result.slide_shape,
        labels=dict(labels or {}),
        split=split,
    )
    return IndexPart(
        slide,
        result.rowcol[kept].astype(np.int32),
        result.codeword[kept].astype(np.int32),
        (result.attention * len(result.attention)).astype(np.float32)[kept],
        result.residual_norm[kept].astype(np.float32),
        result.slide_vector.astype(np.float32),
    )


def write_index(
    folder: Path,
    facts: IndexFacts,
    parts: Sequence[IndexPart],
    features: Iterable[NDArray[np.floating[Any]]],
) -> Path:
    """Write an index; one that is there stays usable until the new one is whole.

    Parameters
    ----------
    folder : Path
        Target; made where it is missing.
    facts : IndexFacts
        What made it.
    parts : sequence of IndexPart
        The slides, at least one.
    features : iterable of ndarray
        (n, d) of the tiles of each part, in the same order; rows are brought to length 1.

    Returns
    -------
    Path
        ``folder``.

    Raises
    ------
    SearchError
        If it cannot be written, or features are not one row per tile.
    """
    if not parts:
        raise SearchError("An index of no slide at all is of no use. Give a cohort with slides.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=folder, prefix=f".{_DATA}"))
        try:
            header = _write_arrays(aside, facts, parts, features)
            target = _free_folder(folder)
            aside.chmod(0o755)
            aside.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        slides = _slide_records(folder, parts)
        write_json(folder / INDEX_FILE, header | {"data": target.name, "slides": slides})
    except OSError as error:
        raise SearchError(
            f"The index '{folder}' cannot be written: {error.strerror or error}. What was there "
            "before has stayed. Make room, or choose another folder."
        ) from error
    for old in folder.glob(f"{_DATA}*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)  # a window may still look at it
    return folder


def _write_arrays(
    folder: Path,
    facts: IndexFacts,
    parts: Sequence[IndexPart],
    features: Iterable[NDArray[np.floating[Any]]],
) -> dict[str, Any]:
    n_tiles = sum(part.slide.n_tiles for part in parts)
    path = folder / "features.npy"
    stored = _unit_rows(path, (n_tiles, facts.dim), parts, features)
    for name in ("rowcol", "codeword", "attention", "residual_norm"):
        np.save(folder / f"{name}.npy", np.concatenate([getattr(part, name) for part in parts]))
    vectors = np.stack([part.slide_vector for part in parts])
    np.save(folder / "slide_vectors.npy", vectors)
    method = atlas_method()
    drawn = atlas_sample(n_tiles, seed=facts.seed)
    places = project(np.asarray(stored[drawn]), method, facts.seed)
    np.save(folder / "atlas_tiles.npy", np.column_stack([drawn.astype(np.float64), places]))
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    np.save(folder / "atlas_slides.npy", project(vectors / lengths, method, facts.seed))
    return {"format": INDEX_FORMAT, "atlas_method": method, "n_tiles": n_tiles, **asdict(facts)}


def _unit_rows(
    path: Path,
    shape: tuple[int, int],
    parts: Sequence[IndexPart],
    features: Iterable[NDArray[np.floating[Any]]],
) -> NDArray[np.float32]:
    """Write the features of all tiles, one slide in memory at a time, and return them mapped."""
    if not shape[0]:
        np.save(path, np.empty(shape, np.float32))
        return np.empty(shape, np.float32)
    # Written in sequence, not into a map of the file: a full disk would end the process there.
    with path.open("wb") as stream:
        described = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, described)
        for part, rows in zip(parts, features, strict=True):
            if rows.shape != (part.slide.n_tiles, shape[1]):
                raise SearchError(
                    f"The result of slide '{part.slide.slide_id}' has features of another kind "
                    f"than the others: {rows.shape}. Predict the slide again."
                )
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            unit = (rows / np.maximum(lengths, 1e-12)).astype("<f4")
            stream.write(np.ascontiguousarray(unit).data)
    mapped: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def _slide_records(folder: Path, parts: Sequence[IndexPart]) -> list[dict[str, Any]]:
    records, first = [], 0
    for part in parts:
        record = asdict(part.slide)
        record["first_row"] = first
        record["result"] = _relative(part.slide.result, folder)
        first += part.slide.n_tiles
        records.append(record)
    return records


def _relative(path: Path, folder: Path) -> str:
    """Return a path that still holds when the folder is moved, where it lies in there."""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path.absolute())


def _free_folder(folder: Path) -> Path:
    number = 1
    while (folder / f"{_DATA}{number}").exists():
        number += 1
    return folder / f"{_DATA}{number}"
