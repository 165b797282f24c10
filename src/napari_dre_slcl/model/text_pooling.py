"""One vector out of the vectors of many tokens, as sentence-transformers defines it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["pool_tokens"]


def pool_tokens(states: Tensor, mask: Tensor, modes: Sequence[str]) -> Tensor:
    """Pool the tokens that a mask marks; several modes are put side by side.

    Parameters
    ----------
    states : Tensor
        (n, length, width) last-layer states.
    mask : Tensor
        (n, length) 1 for tokens that count, 0 for the others; at least one counts in each row.
    modes : sequence of str
        Of ``cls``, ``max``, ``mean``, ``mean_sqrt_len_tokens``, ``weightedmean``, ``lasttoken``.

    Returns
    -------
    Tensor
        (n, width x modes) in the type of the states.
    """
    mask = mask.to(states.dtype)
    return torch.cat([_POOL[mode](states, mask) for mode in modes], dim=1)


def _cls(states: Tensor, mask: Tensor) -> Tensor:
    return states[torch.arange(len(states)), mask.argmax(1)]


def _last(states: Tensor, mask: Tensor) -> Tensor:
    last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
    return states[torch.arange(len(states)), last]


def _max(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(mask[..., None] == 0, -torch.inf).amax(1)


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def _mean_sqrt(states: Tensor, mask: Tensor) -> Tensor:
    return (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True).sqrt()


def _weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Later tokens count more: a decoder's last tokens have seen the whole text."""
    return _mean(states, mask * mask.cumsum(1))


_POOL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}
