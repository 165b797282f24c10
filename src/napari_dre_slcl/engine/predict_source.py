"""One open slide and a model make a SlideResult: encode its tiles, aggregate, predict."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl._version import __version__
from napari_dre_slcl.engine.damage import damage_warning
from napari_dre_slcl.engine.known_features import features_key, take_over
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.model.network import SlideOutput
from napari_dre_slcl.results import SlideResult, TaskPrediction
from napari_dre_slcl.tiles import TileLoader, TileSource

__all__ = ["predict_source"]

_CHUNK = 256


def predict_source(
    bundle: Bundle,
    source: TileSource,
    slide_id: str,
    on_progress: Callable[[int, int], None] | None = None,
    earlier: SlideResult | None = None,
    keep_features: bool = True,
) -> SlideResult:
    """Predict one open slide.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    source : TileSource
        Slide and tile grid.
    slide_id : str
        Its name in the result.
    on_progress : callable, optional
        Called with the number of tiles encoded and of tiles to encode.
    earlier : SlideResult, optional
        Where it is of this file and model, its tile features are taken over and only tiles that it
        lacks are encoded; else it is not used. The answer may differ from that of a full
        prediction in its last digits, as it does with the size of the batches.
    keep_features : bool
        Put the tile features into the result, for another prediction of the slide.

    Returns
    -------
    SlideResult
        Where tiles could not be decoded they count as white, and ``provenance["damaged"]`` says
        how many; more than half of them raise `DamagedSlideError`.
    """
    key = features_key(bundle, source) if keep_features else ""
    known, stored = take_over(earlier, key, source.grid)
    is_new = np.ones(len(source.grid), bool)
    is_new[known] = False
    features = torch.empty(len(source.grid), bundle.net.encoder.dim)
    if earlier is not None and earlier.features is not None and len(known):
        features[~is_new] = torch.from_numpy(earlier.features[stored])
    damaged = ""
    if is_new.any():
        features[is_new], damaged = _encode(bundle, source, np.flatnonzero(is_new), on_progress)
    with torch.no_grad():
        output = bundle.net.describe(features.to(bundle.net.codewords.device))
    result = _as_result(bundle, source, slide_id, output)
    result.provenance["encoded"] = f"{is_new.sum():,} of {len(is_new):,} tiles"
    if damaged:
        # No features are kept then: predicting again should look at the file, and tell, again.
        result.provenance["damaged"] = damaged
        return result
    return replace(result, features=features.numpy(), features_key=key) if keep_features else result


def _encode(
    bundle: Bundle,
    source: TileSource,
    tiles: NDArray[np.int64],
    on_progress: Callable[[int, int], None] | None,
) -> tuple[torch.Tensor, str]:
    """Return the features of some tiles of a grid, on the CPU, and what is to tell of damage."""
    device = bundle.net.codewords.device
    chunks = np.array_split(tiles, range(_CHUNK, len(tiles), _CHUNK))
    loader = TileLoader([source], bundle.config.encoder.input_px, cache_mib=0)
    features: list[torch.Tensor] = []
    bundle.net.eval()
    with (
        closing(loader),
        closing(loader.prefetch([(0, chunk)] for chunk in chunks)) as batches,
        torch.no_grad(),
    ):
        for pixels in batches:
            if on_progress is not None:
                on_progress(sum(map(len, features)), len(tiles))
            scaled = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)
            features.append(bundle.net.encoder(scaled).float().cpu())
        n_damaged = sum(map(len, loader.damaged.values()))
    damaged = damage_warning(source.slide.name, n_damaged, len(source.grid)) if n_damaged else ""
    return torch.cat(features), damaged


def _as_result(
    bundle: Bundle, source: TileSource, slide_id: str, output: SlideOutput
) -> SlideResult:
    info, grid = source.slide.info, source.grid
    return SlideResult(
        slide_id=slide_id,
        slide_path=info.path,
        slide_shape=info.shape,
        mpp=info.mpp,
        mpp_source=info.mpp_source,
        tile_size_px=grid.size_px,
        grid_shape=grid.shape,
        rowcol=grid.rowcol,
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
        provenance={
            "napari-dre-slcl": __version__,
            "model_sha256": bundle.weights_sha256,
            "method": bundle.config.method,
            "encoder": bundle.config.encoder.name,
            "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
