"""Which encoder a configuration asks for, and what identifies it."""

from __future__ import annotations

import hashlib

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from napari_dre_slcl.config import DreSlclConfig, EncoderConfig
from napari_dre_slcl.model.backbone import Architecture
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.tile_encoder import TileEncoder

__all__ = ["build_encoder", "encoder_sha256", "normalises_by_batch"]


def build_encoder(
    config: DreSlclConfig,
    feature_dim: int | None = None,
    architecture: Architecture | None = None,
) -> TileEncoder | FeatureAdapter:
    """Return the first part of the network.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    feature_dim : int, optional
        Width of stored features, where they take the place of pixels.
    architecture : Architecture, optional
        Of a bundle; spares the hub and the file of weights that training began from.

    Returns
    -------
    TileEncoder or FeatureAdapter
        Both have ``dim``, ``is_trainable``, ``takes_pixels``, ``prepare(batch, device)`` and
        ``get_ready()``, and give unit rows.
    """
    if feature_dim is not None:
        features = config.features
        if config.method != "dre-slcl":  # the others work on features as they are
            features = features.model_copy(update={"adapter": "none"})
        return FeatureAdapter(features, feature_dim)
    return TileEncoder(config.encoder, architecture)


def normalises_by_batch(encoder: nn.Module) -> bool:
    """Return whether a training step's features depend on the tiles that are encoded together."""
    was_training = encoder.training
    encoder.train()
    # Frozen parts stay in evaluation mode, where they take their running figures.
    found = any(part.training and isinstance(part, _BatchNorm) for part in encoder.modules())
    encoder.train(was_training)
    return found


def encoder_sha256(encoder: nn.Module, config: EncoderConfig) -> str:
    """Return a hash that is equal where the same pixels give the same features.

    Parameters
    ----------
    encoder : nn.Module
        Its weights and buffers count, under their names.
    config : EncoderConfig
        Input size, mean and deviation count.
    """
    digest = hashlib.sha256(repr((config.input_px, config.mean, config.std)).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        digest.update(array.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
