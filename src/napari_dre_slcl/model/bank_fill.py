"""A generation of the memory bank while it is being filled: data first, then the note of it."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from napari_dre_slcl.model.bank_rows import HeldRows

__all__ = ["BankFill"]

_FLUSH_S = 2.0


class BankFill:
    """Takes features until a generation is whole; a process killed meanwhile loses two seconds.

    Parameters
    ----------
    number : int
        Of the generation.
    rows : HeldRows
        Where its features go.
    step : int
        Counts as the time of writing.
    """

    def __init__(self, number: int, rows: HeldRows, step: int) -> None:
        self.number = number
        self._rows = rows
        self._step = step
        self._pending: list[Tensor] = []
        self._flushed_s = time.monotonic()

    def is_filled(self, rows: Tensor) -> Tensor:
        """Return for each row whether its feature is there, and durably so."""
        self.flush()
        return self._rows.arrays["filled"][rows] > 0

    def store(self, rows: Tensor, features: Tensor, drift: Tensor) -> None:
        """Store features as they are, and how far each is from the one before."""
        self._rows.write("features", rows, features)
        self._rows.write("drift", rows, drift)
        self._rows.write("written", rows, torch.full((len(rows),), self._step, dtype=torch.int32))
        self._pending.append(rows)
        if not self._rows.is_on_disk or time.monotonic() - self._flushed_s > _FLUSH_S:
            self.flush()

    def flush(self) -> None:
        """Make what was stored durable, then note that it is there."""
        if not self._pending:
            return
        self._rows.flush("features", "drift", "written")
        rows = torch.cat(self._pending)
        self._rows.write("filled", rows, torch.ones(len(rows), dtype=torch.uint8))
        self._rows.flush("filled")
        self._pending = []
        self._flushed_s = time.monotonic()
