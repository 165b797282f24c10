"""Tiles of one open slide through a tile encoder, without gradient; and features into a file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.cohort.feature_store import FeatureOrigin, write_features
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.damage import damage_warning
from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.model.encoders import encoder_sha256
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.tiles import TileLoader, TileSource

__all__ = ["encode_source", "feature_origin", "write_source_features"]

_CHUNK = 256


@torch.no_grad()
def encode_source(
    encoder: TileEncoder,
    source: TileSource,
    input_px: int,
    tiles: NDArray[np.int64],
    on_progress: Callable[[int, int], None] | None = None,
    view: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, str]:
    """Encode some tiles of a slide; the encoder is left in evaluation mode.

    Parameters
    ----------
    encoder : TileEncoder
        On its device.
    source : TileSource
        Slide and grid.
    input_px : int
        Edge of the encoder's input.
    tiles : ndarray of int64, shape (n,)
        Indices into the grid.
    on_progress : callable, optional
        Called with the number of tiles encoded and of tiles to encode.
    view : callable, optional
        Changes the (n, 3, input_px, input_px) input of each batch.

    Returns
    -------
    features : Tensor
        (n, dim) float32 on the CPU.
    damaged : str
        What is to tell of tiles that cannot be decoded, empty for none.

    Raises
    ------
    DamagedSlideError
        If more than half of the tiles cannot be decoded.
    """
    encoder.eval()
    chunks = np.array_split(tiles, range(_CHUNK, len(tiles), _CHUNK))
    loader = TileLoader([source], input_px, cache_mib=0)
    features: list[Tensor] = []
    with closing(loader), closing(loader.prefetch([(0, chunk)] for chunk in chunks)) as batches:
        for pixels in batches:
            if on_progress is not None:
                on_progress(sum(map(len, features)), len(tiles))
            prepared = encoder.prepare(torch.from_numpy(pixels), encoder.mean.device)
            if view is not None:
                prepared = view(prepared)
            features.append(encoder(prepared).float().cpu())
        n_damaged = sum(map(len, loader.damaged.values()))
    damaged = damage_warning(source.slide.name, n_damaged, len(source.grid)) if n_damaged else ""
    return torch.cat(features), damaged


def feature_origin(encoder: TileEncoder, config: DreSlclConfig) -> FeatureOrigin:
    """Return what identifies the features that an encoder makes with these settings."""
    return FeatureOrigin(
        encoder=config.encoder.name,
        encoder_sha256=encoder_sha256(encoder, config.encoder),
        mpp=config.tiling.mpp,
        tile_px=config.tiling.tile_px,
    )


def write_source_features(
    encoder: TileEncoder, config: DreSlclConfig, source: TileSource, slide_id: str, folder: Path
) -> Path:
    """Encode all tiles of a slide and write them as ``features.fill_from`` takes them.

    Parameters
    ----------
    encoder : TileEncoder
        On its device.
    config : DreSlclConfig
        Those of the run that is to take the file: encoder and tiling count.
    source : TileSource
        Slide and grid.
    slide_id : str
        Names the file, ``<slide_id>.h5``.
    folder : Path
        Where to; made where it is missing.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DamagedSlideError
        If the slide has tiles that cannot be decoded.
    SlideError
        If the file cannot be written.
    """
    tiles = np.arange(len(source.grid))
    features, damaged = encode_source(encoder, source, config.encoder.input_px, tiles)
    if damaged:
        raise DamagedSlideError(f"{damaged} No features were written.")
    grid = source.grid
    return write_features(
        folder / f"{slide_id}.h5",
        features.numpy(),
        grid.yx,
        feature_origin(encoder, config),
        grid.size_px,
        grid.mpp,
    )
