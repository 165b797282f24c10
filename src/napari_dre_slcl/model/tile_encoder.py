"""The tile encoder: a timm backbone with its own input scaling; unit-length features out."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_dre_slcl.config import EncoderConfig
from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.torchvision_repair import ensure_torchvision

__all__ = ["TileEncoder"]


class TileEncoder(nn.Module):
    """Encode tiles into unit vectors.

    Parameters
    ----------
    config : EncoderConfig
        Backbone, input size, scaling, weights and which blocks train.

    Raises
    ------
    ConfigError
        If timm has no such backbone or it does not take the input size.
    ModelError
        If the weights file cannot be used.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.backbone = _make_backbone(config)
        self.dim = int(self.backbone.num_features)  # type: ignore[arg-type]
        self.is_trainable = config.trainable_blocks != 0
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        if config.weights is not None:
            _load_weights(self.backbone, config.weights)
        _freeze(self.backbone, config.trainable_blocks)

    def forward(self, tiles: Tensor) -> Tensor:
        """Encode tiles.

        Parameters
        ----------
        tiles : Tensor
            (n, 3, size, size), values 0 to 1.

        Returns
        -------
        Tensor
            (n, dim), each row of length 1: z = f(x) / |f(x)| (METHOD, DRE-SLCL).
        """
        features = self.backbone((tiles - self.mean) / self.std)
        return nn.functional.normalize(features, dim=-1)


def _make_backbone(config: EncoderConfig) -> nn.Module:
    ensure_torchvision()
    import timm

    if config.name not in timm.list_models():
        near = timm.list_models(f"*{config.name.split('_')[0]}*")[:3]
        hint = f" Similar names: {', '.join(near)}." if near else ""
        raise ConfigError(f"timm has no model '{config.name}' (encoder.name).{hint}")
    try:
        return timm.create_model(
            config.name, pretrained=False, num_classes=0, img_size=config.input_px
        )
    except TypeError:  # convolutional backbones take any size and no such argument
        return timm.create_model(config.name, pretrained=False, num_classes=0)
    except AssertionError as error:
        raise ConfigError(
            f"'{config.name}' does not take tiles of {config.input_px} px: {error}. "
            "Change encoder.input_px."
        ) from error


def _load_weights(backbone: nn.Module, path: Path) -> None:
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        backbone.load_state_dict(state)
    except OSError as error:
        raise ModelError(f"The weights '{path}' cannot be read: {error}.") from error
    except (SafetensorError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"'{path}' is no safetensors file and no plain PyTorch weights file."
        ) from error
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The weights '{path}' do not fit the tile encoder: {str(error).splitlines()[0]} "
            "Choose the encoder.name that they belong to."
        ) from error


def _freeze(backbone: nn.Module, trainable_blocks: int) -> None:
    if trainable_blocks < 0:
        return
    backbone.requires_grad_(False)
    if trainable_blocks == 0:
        return
    blocks = getattr(backbone, "blocks", None) or getattr(backbone, "stages", None)
    if blocks is None:
        raise ConfigError(
            "This tile encoder has no blocks to train singly. "
            "Set encoder.trainable_blocks to -1 (all) or 0 (none)."
        )
    for block in list(blocks)[-trainable_blocks:]:
        block.requires_grad_(True)
    for name in ("norm", "fc_norm", "norm_pre"):
        part = getattr(backbone, name, None)
        if isinstance(part, nn.Module):
            part.requires_grad_(True)
