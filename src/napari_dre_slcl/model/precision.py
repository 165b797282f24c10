"""In which floating-point type the tile encoder computes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal

import torch

__all__ = ["Precision", "autocast_for", "compute_dtype", "needs_scaler"]

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Return the type to compute in, None for that of the weights.

    Parameters
    ----------
    precision : {"auto", "fp32", "bf16", "fp16"}
        auto is bf16 on a CUDA device that computes in it, else fp32. fp16 is taken on a GPU only:
        a CPU would be slower with it, so that a model trained in fp16 predicts there in fp32.
    device : torch.device
        Where the encoder is.
    """
    if precision == "bf16":
        return torch.bfloat16
    if precision == "fp16" and device.type != "cpu":
        return torch.float16
    if precision == "auto" and device.type == "cuda" and _has_bf16(device):
        return torch.bfloat16
    return None


def _has_bf16(device: torch.device) -> bool:
    """Return whether a GPU computes in bf16 itself; older ones imitate it slowly."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


def autocast_for(
    precision: Precision, device: torch.device
) -> Callable[[], AbstractContextManager[object]]:
    """Return what makes a context in which the encoder computes; one per use."""
    dtype = compute_dtype(precision, device)
    if dtype is None:
        return nullcontext
    return partial(torch.autocast, device.type, dtype=dtype)


def needs_scaler(precision: Precision, device: torch.device) -> bool:
    """Return whether the loss must be scaled, so that small gradients survive fp16."""
    return compute_dtype(precision, device) is torch.float16
