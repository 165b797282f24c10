"""The redo log of the memory bank: what changed since the last checkpoint, and how to redo it.

The log is written into the checkpoint before the bank's files change; redoing it twice is the same
as once. So a process may be killed at any moment. Numbers in it are those of the whole bank, so
that another number of processes can redo it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from napari_dre_slcl.model.bank_rows import HeldRows
from napari_dre_slcl.model.bank_shape import Arrays

__all__ = ["BankJournal"]

_PER_TILE = ("codeword", "weight", "written", "drift")
_PER_SLIDE = ("residual", "mass", "count")


class BankJournal:
    """Marks rows and slides that changed.

    Parameters
    ----------
    tiles, slides : range
        Of the whole bank, that this process holds. Marks count from their first.

    Attributes
    ----------
    has_rows : bool
        Whether any row is marked.
    """

    def __init__(self, tiles: range, slides: range) -> None:
        self._tiles, self._owned = tiles, slides
        self._slides = torch.zeros(len(slides), dtype=torch.bool)
        self._is_indexed_anew = False
        self.has_rows = False

    @cached_property
    def _rows(self) -> Tensor:
        # Not before a row is marked: one byte per tile, and a bank may only be asked for its size.
        return torch.zeros(len(self._tiles), dtype=torch.bool)

    def mark(self, rows: Tensor, slides: Tensor) -> None:
        """Note that some rows, and the sums of their slides, changed."""
        self._rows[rows] = True
        self.has_rows = True
        self._slides[slides] = True

    def mark_index(self) -> None:
        """Note that codeword and weight of every tile, and the sums of every slide, changed."""
        self._is_indexed_anew = True
        self._slides[:] = True

    def clear(self) -> None:
        """Forget all marks: the files have it."""
        if self.has_rows:
            self._rows.zero_()
        self.has_rows = False
        self._slides.zero_()
        self._is_indexed_anew = False

    def collect(self, arrays: Arrays) -> dict[str, Tensor]:
        """Return copies of what is marked.

        Returns
        -------
        dict of str to Tensor
            ``span`` (4,), first tile and the one after the last, and the same of slides;
            ``rows`` (r,) and their ``features``; ``codeword``, ``weight``, ``written``, ``drift``
            of those rows, or of every tile of the span after a new index; ``slides`` (t,) and
            their ``residual``, ``mass``, ``count``; ``codewords`` (K, d).
        """
        rows, slides = self._rows.nonzero().squeeze(1), self._slides.nonzero().squeeze(1)
        changes = {
            "span": torch.tensor(
                [self._tiles.start, self._tiles.stop, self._owned.start, self._owned.stop]
            ),
            "rows": rows + self._tiles.start,
            "slides": slides + self._owned.start,
            "features": arrays["features"][rows],
        }
        for name in _PER_TILE:
            changes[name] = arrays[name].clone() if self._is_indexed_anew else arrays[name][rows]
        for name in _PER_SLIDE:
            changes[name] = arrays[name][slides]
        changes["codewords"] = arrays["codewords"].clone()
        return changes

    def concerns(self, changes: Mapping[str, Tensor]) -> bool:
        """Return whether changes may be of tiles that this process holds."""
        first, last = changes["span"][:2].tolist()
        return bool(max(first, self._tiles.start) < min(last, self._tiles.stop))

    def redo(self, into: HeldRows, changes: Mapping[str, Tensor]) -> tuple[str, ...]:
        """Write what this process holds of collected changes; return the names that changed."""
        rows, tiles = _within(changes["rows"], self._tiles)
        sums, slides = _within(changes["slides"], self._owned)
        first, last = changes["span"][:2].tolist()
        into.write("features", tiles, changes["features"][rows])
        for name in _PER_TILE:
            if len(changes[name]) == last - first:  # of every tile, in order
                low, high = max(first, self._tiles.start), min(last, self._tiles.stop)
                values = changes[name][low - first : high - first]
                into.write(name, slice(low - self._tiles.start, high - self._tiles.start), values)
            else:
                into.write(name, tiles, changes[name][rows])
        for name in _PER_SLIDE:
            into.write(name, slides, changes[name][sums])
        into.write("codewords", slice(None), changes["codewords"])
        return ("features", *_PER_TILE, *_PER_SLIDE, "codewords")


def _within(numbers: Tensor, held: range) -> tuple[slice, Tensor]:
    """Return which of the ascending numbers are held, and where, counted from the first held."""
    bounds = torch.tensor([held.start, held.stop])
    first, last = torch.searchsorted(numbers, bounds).tolist()
    return slice(first, last), numbers[first:last] - held.start
