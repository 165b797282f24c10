"""The tile encoder: a timm backbone with its own input scaling; unit-length features out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.config import EncoderConfig
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.model.backbone import HUB_PREFIX, Architecture, make_backbone
from napari_dre_slcl.model.encoder_weights import load_weights
from napari_dre_slcl.model.precision import autocast_for, compute_dtype

__all__ = ["TileEncoder"]

_BLOCK_LISTS = ("blocks", "stages", "layers")
_BLOCK_SERIES = ("layer1", "layer2", "layer3", "layer4")


class TileEncoder(nn.Module):
    """Encode tiles into unit vectors.

    Blocks that are not trained stay in evaluation mode, also under `train`, so that neither
    dropout nor batch statistics move what they give.

    Parameters
    ----------
    config : EncoderConfig
        Backbone, input size, scaling, weights and which blocks train.
    architecture : Architecture, optional
        What the backbone is built from, as a bundle keeps it; found by ``config.name`` by default.
        With it, no weights are loaded: whoever gives it has them.

    Attributes
    ----------
    dim : int
        Width of a feature.
    is_trainable : bool
        Whether any block is trained.
    takes_pixels : bool
        True.
    architecture : Architecture
        What the backbone was built from.

    Raises
    ------
    ConfigError
        If timm has no such backbone, or it does not take the input size or the settings.
    ModelError
        If the weights cannot be used.
    """

    mean: Tensor
    std: Tensor
    takes_pixels = True

    def __init__(self, config: EncoderConfig, architecture: Architecture | None = None) -> None:
        super().__init__()
        self._config = config
        is_bare = architecture is not None
        if config.weights_sha256 and config.weights is None and not is_bare:
            raise ConfigError(
                "encoder.weights_sha256 is the hash of a file, but encoder.weights names none. "
                "Give the file, or empty encoder.weights_sha256."
            )
        self.backbone, self.architecture = make_backbone(config, architecture)
        self.dim = int(getattr(self.backbone, "head_hidden_size", self.backbone.num_features))  # type: ignore[arg-type]
        self.is_trainable = config.trainable_blocks != 0
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        self._notes: list[str] = []
        if config.weights is not None and not is_bare:
            self._notes += load_weights(self.backbone, config.weights, config.weights_sha256)
        if config.name.startswith(HUB_PREFIX) and not is_bare:
            self._notes += _other_scaling(self.backbone, config)
        self._frozen = _freeze(self.backbone, config)
        if config.checkpointing:
            _checkpoint_gradients(self.backbone, config.name)
        if config.channels_last:
            self.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, tiles: Tensor) -> Tensor:
        """Encode tiles.

        Parameters
        ----------
        tiles : Tensor
            (n, 3, size, size), values 0 to 1.

        Returns
        -------
        Tensor
            (n, dim) float32, each row of length 1: z = f(x) / |f(x)| (METHOD, DRE-SLCL).
        """
        scaled = (tiles - self.mean) / self.std
        if self._config.channels_last:
            scaled = scaled.contiguous(memory_format=torch.channels_last)
        with autocast_for(self._config.precision, tiles.device)():
            features = self.backbone(scaled)
        return nn.functional.normalize(features.to(tiles.dtype), dim=-1)

    def prepare(self, batch: Tensor, device: torch.device) -> Tensor:
        """Make the network's input of tiles as they are read.

        Parameters
        ----------
        batch : Tensor
            (n, size, size, 3) uint8.
        device : torch.device
            Where the network is.

        Returns
        -------
        Tensor
            (n, 3, size, size) float32, values 0 to 1.
        """
        pixels = batch.to(device, non_blocking=True).permute(0, 3, 1, 2)
        layout = torch.channels_last if self._config.channels_last else torch.contiguous_format
        return pixels.to(torch.float32, memory_format=layout).div_(255)

    def train(self, mode: bool = True) -> TileEncoder:
        """Set the mode of the trained blocks; the others stay in evaluation mode."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    def get_ready(self) -> tuple[str, ...]:
        """Compile where that was asked for, on the device where the encoder is.

        Returns
        -------
        tuple of str
            What the user should know: of the weights' loading, and what cannot be had here.
        """
        said, self._notes = list(self._notes), []
        device = self.mean.device
        if self._config.precision == "fp16" and compute_dtype("fp16", device) is None:
            said.append("encoder.precision=fp16 needs a GPU; the tile encoder computes in fp32.")
        if self._config.compile:
            reason = _why_not_compile(device)
            if reason:
                said.append(f"The tile encoder runs uncompiled, torch.compile fails: {reason}.")
            else:
                self.backbone.compile()  # in place, so that the names of weights stay
        return tuple(said)


def _other_scaling(backbone: nn.Module, config: EncoderConfig) -> list[str]:
    """Tell where weights of the hub were trained with another input scaling than is set."""
    made_for: dict[str, Any] = getattr(backbone, "pretrained_cfg", None) or {}
    mean, std = (tuple(made_for.get(key) or getattr(config, key)) for key in ("mean", "std"))
    if (mean, std) == (config.mean, config.std):
        return []
    sentence = (
        f"'{config.name}' was trained with the input mean {mean} and deviation {std}; "
        "set encoder.mean and encoder.std to these."
    )
    return [sentence]


def _freeze(backbone: nn.Module, config: EncoderConfig) -> list[nn.Module]:
    """Freeze all but the last blocks and what follows them; return the parts that are frozen."""
    n_trained = config.trainable_blocks
    if n_trained < 0:
        return []
    backbone.requires_grad_(False)
    if n_trained == 0:
        return [backbone]
    parts = dict(backbone.named_children())
    blocks = _blocks(parts)
    if not blocks:
        raise ConfigError(
            f"The tile encoder '{config.name}' has no blocks to train singly. "
            "Set encoder.trainable_blocks to -1 (all) or 0 (none)."
        )
    if n_trained > len(blocks):
        raise ConfigError(
            f"encoder.trainable_blocks={n_trained}, but '{config.name}' has {len(blocks)} blocks. "
            f"Choose at most {len(blocks)}, or -1 for all of the encoder."
        )
    # In the order of the forward pass: stem, blocks, then what normalises and pools.
    units = [
        unit
        for name, part in parts.items()
        for unit in (part.children() if name in _BLOCK_LISTS else (part,))
    ]
    first = next(index for index, unit in enumerate(units) if unit is blocks[-n_trained])
    for unit in units[first:]:
        unit.requires_grad_(True)
    return units[:first]


def _blocks(parts: dict[str, nn.Module]) -> list[nn.Module]:
    for name in _BLOCK_LISTS:
        if name in parts:
            return list(parts[name].children())
    return [parts[name] for name in _BLOCK_SERIES if name in parts]


def _checkpoint_gradients(backbone: nn.Module, name: str) -> None:
    try:
        backbone.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AttributeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"The tile encoder '{name}' cannot recompute inner values. "
            "Set encoder.checkpointing to false."
        ) from error


def _why_not_compile(device: torch.device) -> str:
    """Compile and run the least function; return the reason where that fails."""

    def double(values: Tensor) -> Tensor:
        return values.sin() * 2

    try:
        compiled: Any = torch.compile(double)
        compiled(torch.ones(8, device=device))
    except (RuntimeError, ImportError, OSError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return lines[0].strip().rstrip(".") if lines else type(error).__name__
    return ""
