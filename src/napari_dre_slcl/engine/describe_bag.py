"""What a network says of one bag of stored features: its vector and its probabilities."""

from __future__ import annotations

import torch

from napari_dre_slcl.cohort.feature_store import read_features
from napari_dre_slcl.engine.bags_in_memory import Bag
from napari_dre_slcl.engine.feature_source import FeatureSource
from napari_dre_slcl.engine.tile_positions import tile_positions
from napari_dre_slcl.model.nets import TrainedNet
from napari_dre_slcl.model.slide_net import SlideOutput

__all__ = ["describe_bag"]

_CHUNK = 8192


@torch.no_grad()
def describe_bag(net: TrainedNet, bag: Bag) -> SlideOutput:
    """Encode the tiles of a bag and aggregate them, whatever other bags there are.

    Parameters
    ----------
    net : SlideNet
        Trained on features of this width, in evaluation mode.
    bag : Bag
        (n_tiles, d) features, or their file.

    Raises
    ------
    SlideError
        If the file cannot be read.
    """
    rowcol = None
    if isinstance(bag, FeatureSource):
        stored = read_features(bag.file.path)
        bag, rowcol = stored.features, tile_positions(stored)
    encoder, device = net.encoder, net.device
    parts = [
        encoder(encoder.prepare(part, device))
        for part in torch.split(torch.from_numpy(bag), _CHUNK)
    ]
    return net.describe(torch.cat(parts), None if rowcol is None else rowcol.to(device))
