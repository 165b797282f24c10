"""Checkpoints as DINO and HIPT write them: nested, prefixed, with a table of other positions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_dre_slcl.errors import ModelError

__all__ = ["plain_names", "resample_positions", "unwrap_checkpoint"]

# A DINO checkpoint holds student and teacher; the teacher encodes better (Caron et al. 2021).
_NESTS = ("teacher", "state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "backbone.", "encoder.", "model.")
_POSITIONS = "pos_embed"


def unwrap_checkpoint(content: Any) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name, taken out of what they are nested in.

    Raises
    ------
    TypeError
        If there are no named tensors.
    """
    while isinstance(content, Mapping):
        nest = next((key for key in _NESTS if isinstance(content.get(key), Mapping)), None)
        if nest is None:
            break
        content = content[nest]
    if not isinstance(content, Mapping):
        raise TypeError(f"it holds a {type(content).__name__}, not weights by name")
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise TypeError("it holds no tensors")
    return tensors


def plain_names(state: Mapping[str, Tensor], known: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return weights under the names that a backbone knows them by.

    Parameters
    ----------
    state : mapping of str to Tensor
        Names may begin with ``module.``, ``backbone.``, ``encoder.`` or ``model.``, also several.
    known : mapping
        The backbone's own names; these are left as they are.

    Raises
    ------
    TypeError
        If two weights come to the same name, as of two networks in one checkpoint.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in state.items():
        while name not in known:
            prefix = next((p for p in _PREFIXES if name.startswith(p)), None)
            if prefix is None:
                break
            name = name[len(prefix) :]
        if name in plain:
            raise TypeError(f"it holds '{name}' twice, of two networks; keep one of them")
        plain[name] = tensor
    return plain


def resample_positions(state: dict[str, Tensor], backbone: nn.Module) -> str:
    """Fit a ViT's table of positions to the backbone's grid of patches, in place.

    Parameters
    ----------
    state : dict of str to Tensor
        Weights; ``pos_embed`` is (1, prefix + h * h, d), 14x14 patches in HIPT's ViT-256.
    backbone : nn.Module
        A timm model; only ViTs of one square table are touched.

    Returns
    -------
    str
        What was done, empty for nothing.

    Raises
    ------
    ModelError
        If the table is of no square grid.
    """
    table, own = state.get(_POSITIONS), getattr(backbone, _POSITIONS, None)
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)
    if table is None or own is None or grid is None or table.shape == own.shape:
        return ""
    # Some transformers add their class token after the positions: the table itself tells.
    n_prefix = own.shape[-2] - math.prod(grid)
    if table.ndim != 3 or own.ndim != 3 or n_prefix < 0:
        return ""  # laid out in another way; that it does not fit is said when it is loaded
    side = math.isqrt(max(0, table.shape[-2] - n_prefix))
    if side * side + n_prefix != table.shape[-2] or not side:
        raise ModelError(
            f"The weights have {table.shape[-2]} positions, which are no square of patches beside "
            f"{n_prefix} other tokens. Choose the encoder.name that they belong to."
        )
    from timm.layers import resample_abs_pos_embed

    with torch.no_grad():
        state[_POSITIONS] = resample_abs_pos_embed(
            table, new_size=list(grid), old_size=[side, side], num_prefix_tokens=n_prefix
        )
    return f"The table of positions was resampled from {side}x{side} to {grid[0]}x{grid[1]} patches"
