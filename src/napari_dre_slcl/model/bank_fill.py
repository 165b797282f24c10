"""A generation of the memory bank while it is being filled: data first, then the note of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from napari_dre_slcl.model.bank_files import Arrays

__all__ = ["BankFill"]

_FLUSH_S = 2.0


class BankFill:
    """Takes features until a generation is whole; a process killed meanwhile loses two seconds.

    Parameters
    ----------
    number : int
        Of the generation.
    arrays : dict of str to Tensor
        Where its features go.
    step : int
        Counts as the time of writing.
    flush : callable, optional
        Makes named arrays durable; none where they are in memory only.
    """

    def __init__(
        self, number: int, arrays: Arrays, step: int, flush: Callable[..., None] | None = None
    ) -> None:
        self.number = number
        self._arrays = arrays
        self._step = step
        self._flush = flush
        self._pending: list[Tensor] = []
        self._flushed_s = time.monotonic()

    def is_filled(self, rows: Tensor) -> Tensor:
        """Return for each row whether its feature is there, and durably so."""
        self.flush()
        return self._arrays["filled"][rows] > 0

    def store(self, rows: Tensor, features: Tensor, drift: Tensor) -> None:
        """Store features as they are, and how far each is from the one before."""
        self._arrays["features"][rows] = features
        self._arrays["drift"][rows] = drift
        self._arrays["written"][rows] = self._step
        self._pending.append(rows)
        if self._flush is None or time.monotonic() - self._flushed_s > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Make what was stored durable, then note that it is there."""
        if not self._pending:
            return
        if self._flush is not None:
            self._flush("features", "drift", "written")
        self._arrays["filled"][torch.cat(self._pending)] = 1
        if self._flush is not None:
            self._flush("filled")
        self._pending = []
        self._flushed_s = time.monotonic()
