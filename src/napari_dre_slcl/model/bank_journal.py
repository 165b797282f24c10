"""The redo log of the memory bank: what changed since the last checkpoint, and how to redo it.

The log is written into the checkpoint before the bank's files change; redoing it twice is the same
as once. So a process may be killed at any moment.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dre_slcl.model.bank_files import Arrays

__all__ = ["BankJournal"]

_PER_TILE = ("codeword", "weight", "written", "drift")
_PER_SLIDE = ("residual", "mass", "count")


class BankJournal:
    """Marks rows and slides that changed.

    Parameters
    ----------
    n_tiles, n_slides : int
        Size of the bank.
    """

    def __init__(self, n_tiles: int, n_slides: int) -> None:
        self._rows = torch.zeros(n_tiles, dtype=torch.bool)
        self._slides = torch.zeros(n_slides, dtype=torch.bool)
        self._is_indexed_anew = False

    def mark(self, rows: Tensor, slides: Tensor) -> None:
        """Note that some rows, and the sums of their slides, changed."""
        self._rows[rows] = True
        self._slides[slides] = True

    def mark_index(self) -> None:
        """Note that codeword and weight of every tile, and the sums of every slide, changed."""
        self._is_indexed_anew = True
        self._slides[:] = True

    def clear(self) -> None:
        """Forget all marks: the files have it."""
        self._rows.zero_()
        self._slides.zero_()
        self._is_indexed_anew = False

    def collect(self, arrays: Arrays) -> dict[str, Tensor]:
        """Return copies of what is marked.

        Returns
        -------
        dict of str to Tensor
            ``rows`` (r,) and their ``features``; ``codeword``, ``weight``, ``written``, ``drift``
            of those rows, or of every tile after a new index; ``slides`` (t,) and their
            ``residual``, ``mass``, ``count``; ``codewords`` (K, d).
        """
        rows, slides = self._rows.nonzero().squeeze(1), self._slides.nonzero().squeeze(1)
        changes = {"rows": rows, "slides": slides, "features": arrays["features"][rows]}
        for name in _PER_TILE:
            changes[name] = arrays[name].clone() if self._is_indexed_anew else arrays[name][rows]
        for name in _PER_SLIDE:
            changes[name] = arrays[name][slides]
        changes["codewords"] = arrays["codewords"].clone()
        return changes

    @staticmethod
    def redo(arrays: Arrays, changes: dict[str, Tensor]) -> tuple[str, ...]:
        """Write collected changes into arrays; return the names of those that changed."""
        rows, slides = changes["rows"], changes["slides"]
        arrays["features"][rows] = changes["features"]
        for name in _PER_TILE:
            if len(changes[name]) == len(arrays[name]):  # of every tile, in order
                arrays[name].copy_(changes[name])
            else:
                arrays[name][rows] = changes[name]
        for name in _PER_SLIDE:
            arrays[name][slides] = changes[name]
        arrays["codewords"].copy_(changes["codewords"])
        return ("features", *_PER_TILE, *_PER_SLIDE, "codewords")
