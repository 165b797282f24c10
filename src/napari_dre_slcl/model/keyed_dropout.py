"""Dropout whose masks depend on what a row is, not on the rows beside it.

A slide then loses the same units in whatever batch it stands, so that a training by several
processes drops what one process drops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from napari_dre_slcl.model.seeds import mixed

__all__ = ["keyed_dropout", "keyed_uniform"]

# The constants of SplitMix64 (Steele, Lea, Flood 2014, doi 10.1145/2660193.2660195), as signed.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


def keyed_dropout(
    keys: Sequence[int] | Tensor, seed: int, *counters: int | str, is_needed: bool = True
) -> AbstractContextManager[Any]:
    """Have every dropout within a block draw its masks row by row from keys.

    Parameters
    ----------
    keys : sequence of int, or Tensor
        (n,) of the rows. A tensor of m times n rows, such as one of n slides times m heads, has m
        neighbouring rows for each key.
    seed : int
        The run's ``training.seed``.
    *counters : int or str
        Where the run stands; the number of the dropout within the block is added.
    is_needed : bool
        False does nothing.
    """
    if not is_needed or not len(keys):
        return nullcontext()
    return _KeyedDropout(torch.as_tensor(keys, dtype=torch.int64), seed, counters)


def keyed_uniform(keys: Tensor, n_columns: int, salt: int) -> Tensor:
    """Return numbers of [0, 1) that depend on key, column and salt alone.

    Parameters
    ----------
    keys : Tensor
        (n,) int64.
    n_columns : int
        Numbers for each key.
    salt : int
        63 bits.

    Returns
    -------
    Tensor
        (n, n_columns) float32, on the device of the keys.
    """
    columns = torch.arange(n_columns, dtype=torch.int64, device=keys.device)
    rows = _mix(keys * _GOLDEN + salt)
    bits = _mix(rows[:, None] + (columns + 1)[None, :] * _GOLDEN)
    return _shifted(bits, 40).float() / 2**24


def _mix(x: Tensor) -> Tensor:
    """Return SplitMix64's finaliser of int64 numbers, which wrap around."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, n_bits: int) -> Tensor:
    """Shift right, zeros coming in."""
    return (x >> n_bits) & ((1 << (64 - n_bits)) - 1)


class _KeyedDropout(TorchFunctionMode):
    def __init__(self, keys: Tensor, seed: int, counters: tuple[int | str, ...]) -> None:
        super().__init__()
        self._keys, self._seed, self._counters = keys, seed, counters
        self._n_calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replace dropout; leave all else alone."""
        if func is functional.dropout or func is torch.dropout:
            return self._drop(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _drop(
        self,
        input: Tensor,  # noqa: A002 - torch's own name
        p: float = 0.5,
        train: bool = True,
        inplace: bool = False,
        training: bool | None = None,
    ) -> Tensor:
        del inplace
        if not (train if training is None else training) or p == 0:
            return input
        self._n_calls += 1
        keys = self._keys.to(input.device).repeat_interleave(len(input) // len(self._keys))
        salt = mixed(self._seed, (*self._counters, self._n_calls))
        numbers = torch.arange(len(keys), device=keys.device) % (len(input) // len(self._keys))
        drawn = keyed_uniform(keys * 4096 + numbers, input[0].numel(), salt)
        return input * ((drawn >= p).view(input.shape).to(input.dtype) / (1 - p))
