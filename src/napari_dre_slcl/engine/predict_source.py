"""One slide and a model make a SlideResult: encode its tiles, aggregate, predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl._version import __version__
from napari_dre_slcl.cohort.feature_store import StoredFeatures, read_features
from napari_dre_slcl.engine.encode_source import encode_source
from napari_dre_slcl.engine.explain import explain
from napari_dre_slcl.engine.feature_memory import FeatureMemory
from napari_dre_slcl.engine.feature_source import FeatureSource, Source
from napari_dre_slcl.engine.feature_table import tile_table
from napari_dre_slcl.engine.known_features import features_key, take_over
from napari_dre_slcl.engine.tile_positions import tile_positions
from napari_dre_slcl.errors import ModelError, SlideError
from napari_dre_slcl.insight.codeword_names import read_names
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.model.slide_net import SlideOutput
from napari_dre_slcl.results import SlideResult, TaskPrediction
from napari_dre_slcl.slide.urls import located, shown
from napari_dre_slcl.tiles import TileSource

__all__ = ["predict_encoded", "predict_source"]

_CHUNK = 8192


def predict_source(
    bundle: Bundle,
    source: Source,
    slide_id: str,
    on_progress: Callable[[int, int], None] | None = None,
    earlier: SlideResult | None = None,
    keep_features: bool = True,
    memory: FeatureMemory | None = None,
    *,
    is_explained: bool = True,
    encode: Callable[[NDArray[np.int64]], tuple[Tensor, str]] | None = None,
) -> SlideResult:
    """Predict one open slide, or one feature file.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    source : TileSource or FeatureSource
        Slide and tile grid, or a feature file, as the model was trained on.
    slide_id : str
        Its name in the result.
    on_progress : callable, optional
        Called with the number of tiles encoded and of tiles to encode.
    earlier : SlideResult, optional
        Where it is of this file and model, its tile features are taken over and only tiles that it
        lacks are encoded; else it is not used. The answer may differ from that of a full
        prediction in its last digits, as it does with the size of the batches.
    keep_features : bool
        Put the tile features into the result, for another prediction of the slide; those of a
        feature file are never kept.
    memory : FeatureMemory, optional
        Reads feature files in the place of the disk.
    is_explained : bool
        Also say what the answer rests on: evidence of tiles, their places in report space, and
        intervals. False for answers that are counted and not looked at.
    encode : callable, optional
        Gives (m, d) features of tiles by their numbers, and what is to tell of damaged ones; by
        default they are read and encoded here.

    Returns
    -------
    SlideResult
        Where tiles could not be decoded they count as white, and ``provenance["damaged"]`` says
        how many; more than half of them raise `DamagedSlideError`. Of a feature file that does not
        say where its tiles lie the tile table is empty, and ``provenance["tiles"]`` says so.

    Raises
    ------
    SlideError
        If the slide or the file cannot be read, is of the other kind than the model was trained
        on, or has features of another width.
    """
    if isinstance(source, FeatureSource):
        return _predict_features(bundle, source, slide_id, on_progress, memory, is_explained)
    if encode is None:
        encode = partial(_encode, bundle, source, on_progress)
    return _predict_slide(bundle, source, slide_id, encode, earlier, keep_features, is_explained)


def _predict_slide(
    bundle: Bundle,
    source: TileSource,
    slide_id: str,
    encode: Callable[[NDArray[np.int64]], tuple[Tensor, str]],
    earlier: SlideResult | None,
    keep_features: bool,
    is_explained: bool,
) -> SlideResult:
    if bundle.feature_dim is not None:
        raise SlideError(
            f"This model was trained on feature files of {bundle.feature_dim} numbers per tile, it "
            f"cannot see the slide '{source.slide.name}'. Give its feature file (.h5)."
        )
    key = features_key(bundle, source) if keep_features else ""
    known, stored = take_over(earlier, key, source.grid)
    is_new = np.ones(len(source.grid), bool)
    is_new[known] = False
    features = torch.empty(len(source.grid), bundle.net.encoder.dim)
    if earlier is not None and earlier.features is not None and len(known):
        features[~is_new] = torch.from_numpy(earlier.features[stored])
    damaged = ""
    if is_new.any():
        features[is_new], damaged = encode(np.flatnonzero(is_new))
    result = predict_encoded(bundle, source, slide_id, features, is_explained=is_explained)
    result.provenance["encoded"] = f"{is_new.sum():,} of {len(is_new):,} tiles"
    if damaged:
        # No features are kept then: predicting again should look at the file, and tell, again.
        result.provenance["damaged"] = damaged
        return result
    return replace(result, features=features.numpy(), features_key=key) if keep_features else result


def _encode(
    bundle: Bundle,
    source: TileSource,
    on_progress: Callable[[int, int], None] | None,
    tiles: NDArray[np.int64],
) -> tuple[Tensor, str]:
    input_px = bundle.config.encoder.input_px
    return encode_source(bundle.net.encoder, source, input_px, tiles, on_progress)


def predict_encoded(
    bundle: Bundle,
    source: Source,
    slide_id: str,
    features: Tensor,
    *,
    stored: StoredFeatures | None = None,
    is_explained: bool = True,
    is_asked: bool = True,
) -> SlideResult:
    """Predict one slide from what the model's encoder has made of all its tiles.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    source : TileSource or FeatureSource
        Slide and tile grid, or the feature file of the tiles.
    slide_id : str
        Its name in the result.
    features : Tensor
        (n, d), in the order of the grid or of the file.
    stored : StoredFeatures, optional
        What a feature file holds; it is read by default.
    is_explained : bool
        As of `predict_source`.
    is_asked : bool
        Also place each tile in report space, for phrases.
    """
    if isinstance(source, FeatureSource):
        stored = read_features(source.file.path) if stored is None else stored
        rowcol = tile_positions(stored)
        facts, reason = _file_facts(source, stored)
    else:
        rowcol = torch.from_numpy(np.ascontiguousarray(source.grid.rowcol, np.int64))
        facts, reason = _slide_facts(source), ""
    output = _describe(bundle, features, rowcol)
    said_of_slide = output
    if reason:
        nothing = torch.empty(0)
        output = output._replace(codeword=nothing.long(), attention=nothing, residual_norm=nothing)
    result = _as_result(bundle, slide_id, output, **facts)
    if reason:
        result.provenance["tiles"] = reason
    if not is_explained:
        return result
    said = explain(bundle, features, rowcol, said_of_slide, is_asked=is_asked)
    return said.added_to(result, has_tiles=not reason)


def _predict_features(
    bundle: Bundle,
    source: FeatureSource,
    slide_id: str,
    on_progress: Callable[[int, int], None] | None,
    memory: FeatureMemory | None,
    is_explained: bool,
) -> SlideResult:
    path = source.file.path
    if bundle.feature_dim is None:
        raise SlideError(
            f"This model was trained on pixels, it cannot take the feature file '{path.name}'. "
            "Give the slide itself."
        )
    if bundle.feature_dim != source.file.dim:
        raise SlideError(
            f"The feature file '{path.name}' has {source.file.dim} numbers per tile, this model "
            f"was trained on {bundle.feature_dim}. Give files of the same tile encoder."
        )
    stored = read_features(path) if memory is None else memory.read(source.file)
    if on_progress is not None:
        on_progress(0, len(stored.features))
    encoder, device = bundle.net.encoder, bundle.net.device
    encoder.eval()
    with torch.no_grad():
        parts = [
            encoder(encoder.prepare(part, device)).cpu()
            for part in torch.split(torch.from_numpy(stored.features), _CHUNK)
        ]
    result = predict_encoded(
        bundle, source, slide_id, torch.cat(parts), stored=stored, is_explained=is_explained
    )
    result.provenance["encoded"] = f"{len(stored.features):,} of {len(stored.features):,} tiles"
    result.provenance["features"] = path.name
    result.provenance["feature file"] = shown(located(path))
    return result


@torch.no_grad()
def _describe(bundle: Bundle, features: Tensor, rowcol: Tensor | None) -> SlideOutput:
    bundle.net.eval()
    device = bundle.net.device
    where = None if rowcol is None else rowcol.to(device)
    return bundle.net.describe(features.to(device), where)


def _slide_facts(source: TileSource) -> dict[str, Any]:
    info, grid = source.slide.info, source.grid
    return {
        "slide_path": info.path,
        "slide_shape": info.shape,
        "mpp": info.mpp,
        "mpp_source": info.mpp_source,
        "tile_size_px": grid.size_px,
        "grid_shape": grid.shape,
        "rowcol": grid.rowcol,
    }


def _file_facts(source: FeatureSource, stored: StoredFeatures) -> tuple[dict[str, Any], str]:
    """Return what a feature file says of its slide, and why it has no tile table."""
    table, reason = tile_table(stored)
    level0_mpp = source.file.attrs.get("level0_mpp")
    is_stated = isinstance(level0_mpp, int | float) and level0_mpp > 0
    facts = {
        "slide_path": str(source.slide_path or source.file.path),
        "slide_shape": table.slide_shape,
        "mpp": level0_mpp if is_stated else None,
        "mpp_source": "feature file" if is_stated else "unknown",
        "tile_size_px": table.size_px,
        "grid_shape": table.grid_shape,
        "rowcol": table.rowcol,
    }
    return facts, reason


def _as_result(bundle: Bundle, slide_id: str, output: SlideOutput, **facts: Any) -> SlideResult:
    return SlideResult(
        slide_id=slide_id,
        **facts,
        codeword=output.codeword.cpu().numpy(),
        attention=output.attention.cpu().numpy().astype(np.float32),
        residual_norm=output.residual_norm.cpu().numpy().astype(np.float32),
        n_codewords=len(output.codeword_attention),
        codeword_attention=output.codeword_attention.cpu().numpy().astype(np.float32),
        slide_vector=output.vector.cpu().numpy().astype(np.float32),
        predictions=tuple(
            TaskPrediction(task.name, task.classes, tuple(values.cpu().tolist()), task.positive)
            for task, values in zip(bundle.tasks, output.probabilities, strict=True)
        ),
        codeword_names=_names(bundle),
        provenance={
            "napari-dre-slcl": __version__,
            "model": "" if bundle.folder is None else str(bundle.folder),
            "model_sha256": bundle.weights_sha256,
            "method": bundle.config.method,
            "encoder": bundle.config.encoder.name if bundle.feature_dim is None else "stored",
            "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def _names(bundle: Bundle) -> tuple[str, ...]:
    """Return the names of codewords as they are in the model's folder by now."""
    if bundle.folder is None:
        return bundle.codeword_names
    try:
        return read_names(bundle.folder)
    except ModelError:
        return bundle.codeword_names
