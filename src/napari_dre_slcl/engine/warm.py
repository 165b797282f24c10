"""The model and the slide that were asked about last, kept for the next question.

A question must be answered while the user looks; reading a model and a slide takes longer than
the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from napari_dre_slcl.cohort.feature_store import read_features
from napari_dre_slcl.engine.tile_positions import tile_positions
from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.model.tile_terms import TileTerms
from napari_dre_slcl.results import SlideResult, load_result

__all__ = ["WarmSlide", "warm_bundle", "warm_slide"]

_CHUNK = 8192


@dataclass(frozen=True, slots=True, eq=False)
class WarmSlide:
    """The tiles of a slide as a model sees them.

    Parameters
    ----------
    n_tiles : int
        n.
    codeword : Tensor
        (n,) int64.
    terms : TileTerms or None
        What each tile adds; None where the method's answer is no sum over all tiles.
    features, rowcol : Tensor or None
        (n, d) and (n, 2), kept where there are no terms.
    """

    n_tiles: int
    codeword: Tensor
    terms: TileTerms | None
    features: Tensor | None = None
    rowcol: Tensor | None = None


def warm_bundle(folder: Path) -> Bundle:
    """Return a model, on the CPU; it is read again where its weights have changed.

    Raises
    ------
    ModelError
        If it is missing, damaged or of another version.
    """
    inner = folder / "model"
    place = inner if (inner / "model.json").is_file() else folder
    return _bundle(place, _stamp(place / "model.safetensors"))


def warm_slide(bundle: Bundle, path: Path) -> WarmSlide:
    """Return the tiles of a result; they are read again where its file has changed.

    Parameters
    ----------
    bundle : Bundle
        As `warm_bundle` returns it.
    path : Path
        Result file.

    Raises
    ------
    ResultError
        If it cannot be read, is of another model, or has no tile features.
    SlideError
        If its feature file cannot be read.
    """
    return _slide(bundle, path, _stamp(path))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)  # whoever reads it tells what is wrong
    return (status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _bundle(folder: Path, stamp: tuple[int, int]) -> Bundle:
    return load_bundle(folder)


@lru_cache(maxsize=1)
def _slide(bundle: Bundle, path: Path, stamp: tuple[int, int]) -> WarmSlide:
    result = load_result(path)
    if result.provenance.get("model_sha256") != bundle.weights_sha256:
        raise ResultError(
            f"The result '{path.name}' was made by another model than '{bundle.folder}'. Choose "
            "its model, or predict the slide again."
        )
    features, rowcol = _features(bundle, result, path)
    if len(result.rowcol) not in (0, len(features)):
        raise ResultError(
            f"The feature file of the result '{path.name}' has changed since: it has "
            f"{len(features):,} tiles, the result has {len(result.rowcol):,}. Predict it again."
        )
    with torch.no_grad():
        terms = bundle.net.tile_terms(features, rowcol)
    if terms is None or terms.n_seen is not None:
        codeword = torch.from_numpy(result.codeword)
        return WarmSlide(len(features), codeword, None, features, rowcol)
    return WarmSlide(len(features), terms.slot, terms)


def _features(bundle: Bundle, result: SlideResult, path: Path) -> tuple[Tensor, Tensor | None]:
    if result.features is not None:
        return torch.from_numpy(result.features), torch.from_numpy(result.rowcol)
    file = result.provenance.get("feature file")
    if not file:
        raise ResultError(
            f"The result '{path.name}' holds no tile features to go by. Press Predict to make a "
            "full result of the slide."
        )
    stored = read_features(Path(file))
    encoder = bundle.net.encoder
    with torch.no_grad():
        parts = [
            encoder(encoder.prepare(part, bundle.net.device))
            for part in torch.split(torch.from_numpy(stored.features), _CHUNK)
        ]
    return torch.cat(parts), tile_positions(stored)
