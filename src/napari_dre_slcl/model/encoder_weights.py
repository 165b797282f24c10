"""Local weights into a timm backbone, whatever they are wrapped in; complains by name."""

from __future__ import annotations

import hashlib
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.hipt_weights import plain_names, resample_positions, unwrap_checkpoint

__all__ = ["load_weights"]

# What a classifier or a projection for training is called: the encoder ends before it.
_HEADS = ("head.", "head_dist.", "fc.", "classifier.", "last_linear.", "decoder.", "mask_token")
_SHOWN = 4


def load_weights(backbone: nn.Module, path: Path, sha256: str = "") -> tuple[str, ...]:
    """Load weights into a backbone without its classifier.

    Parameters
    ----------
    backbone : nn.Module
        A timm model made with ``num_classes=0``.
    path : Path
        A .safetensors file, or a PyTorch file that is read as weights only.
    sha256 : str
        What the file's hash must be; empty does not check.

    Returns
    -------
    tuple of str
        Sentences on what was left out or changed.

    Raises
    ------
    ModelError
        If the file cannot be read, has another hash, or belongs to another model.
    """
    try:
        if sha256:
            _check_hash(path, sha256)
        state = plain_names(unwrap_checkpoint(_read(path)), backbone.state_dict())
    except OSError as error:
        raise ModelError(f"The weights '{path}' cannot be read: {error}.") from error
    except (
        SafetensorError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        RuntimeError,
        EOFError,
        struct.error,
        ValueError,  # and what else a garbled pickle ends in
        LookupError,
        AttributeError,
    ) as error:
        raise ModelError(
            f"'{path}' is no safetensors file and no plain PyTorch weights file, or it is damaged."
        ) from error
    except TypeError as error:
        raise ModelError(f"The weights '{path}' cannot be used: {error}.") from error
    own = backbone.state_dict()
    dropped = _drop_heads(state, own)
    resampled = resample_positions(state, backbone)
    _check_fit(path, state, own)
    backbone.load_state_dict(state, strict=False)
    said = []
    if dropped:
        said.append(f"Weights '{path.name}': {_named(dropped)} left out, they follow the encoder.")
    if resampled:
        said.append(f"Weights '{path.name}': {resampled[0].lower()}{resampled[1:]}.")
    return tuple(said)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _check_hash(path: Path, sha256: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256.lower():
        raise ModelError(
            f"The weights '{path}' have the SHA-256 {found}, but encoder.weights_sha256 asks for "
            f"{sha256.lower()}. Download the file again, or correct the setting."
        )


def _drop_heads(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Take weights of heads, which the backbone does not have, out of ``state``."""
    heads = [name for name in state if name not in own and name.startswith(_HEADS)]
    for name in heads:
        del state[name]
    return heads


def _check_fit(path: Path, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    # Counters of batches are newer than many checkpoints, and nothing rests on them.
    missing = [n for n in own if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in own]
    wrong = [n for n in state if n in own and state[n].shape != own[n].shape]
    broken = [n for n in own if n in state and _is_broken(state[n], own[n])]
    reasons = []
    if missing:
        reasons.append(f"it lacks {_named(missing)}")
    if unknown:
        reasons.append(f"it has {_named(unknown)}, which the encoder has not")
    if wrong:
        first = wrong[0]
        reasons.append(
            f"'{first}' is {tuple(state[first].shape)} there and {tuple(own[first].shape)} here"
        )
    if broken and not reasons:
        raise ModelError(
            f"The weights '{path}' are damaged: {_named(broken)} hold what is no finite number. "
            "Get the file again."
        )
    if reasons:
        raise ModelError(
            f"The weights '{path}' do not fit the tile encoder: {'; '.join(reasons)}. "
            "Choose the encoder.name that they belong to."
        )


def _is_broken(given: Tensor, own: Tensor) -> bool:
    """Return whether numbers are no weights: not finite, or whole numbers of a packed format."""
    if not own.is_floating_point():
        return False
    return not given.is_floating_point() or not bool(given.isfinite().all())


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    shown = ", ".join(f"'{name}'" for name in listed[:_SHOWN])
    rest = len(listed) - _SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
