"""Sets an encoder's running centre from training tiles, before the bank is filled."""

from __future__ import annotations

import numpy as np
import torch

from napari_dre_slcl.engine.feature_source import FeatureLoader, tile_count
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.tiles import TileLoader

__all__ = ["calibrate_encoder"]

_N_TILES = 512


def calibrate_encoder(
    encoder: object, loader: TileLoader | FeatureLoader, seed: int, device: torch.device
) -> None:
    """Set the running centre where there is one and it was never set; else read nothing.

    Parameters
    ----------
    encoder : nn.Module
        Of the network, before its first step.
    loader : TileLoader or FeatureLoader
        Reads the training slides. Those that cannot be read are passed over: the first fill, which
        follows, tells of them.
    seed : int
        Of the draw; about 512 tiles, the same number from each slide.
    device : torch.device
        Where the encoder is.
    """
    if not isinstance(encoder, TileEncoder) or not encoder.needs_calibration:
        return
    n_slides = len(loader.sources)
    of_each = max(1, _N_TILES // n_slides)
    order = torch.randperm(n_slides, generator=seeded(seed, "calibrate")).tolist()
    pixels = []
    for slide in order[:_N_TILES]:
        generator = seeded(seed, "calibrate", slide)
        drawn = torch.randperm(tile_count(loader.sources[slide]), generator=generator)[:of_each]
        try:
            pixels.append(loader.load([(slide, drawn.numpy())]))
        except SlideError:
            continue
    if pixels:
        batch = torch.from_numpy(np.concatenate(pixels))
        encoder.calibrate(encoder.prepare(batch, device))
