"""The memory bank: one unit feature for every tile of every slide, refreshed in place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_dre_slcl.errors import SlideError

__all__ = ["MemoryBank"]


class MemoryBank:
    """Features of all tiles, slide after slide, in one array.

    Parameters
    ----------
    tile_counts : sequence of int
        Number of tiles of each slide.
    dim : int
        Width of a feature.
    momentum : float
        Share of the old feature that a write keeps; 0 overwrites.
    """

    def __init__(self, tile_counts: Sequence[int], dim: int, momentum: float = 0.0) -> None:
        if any(count < 1 for count in tile_counts):
            empty = next(index for index, count in enumerate(tile_counts) if count < 1)
            raise SlideError(f"Slide number {empty + 1} of the bank has no tiles. Leave it out.")
        self._starts = [0]
        for count in tile_counts:
            self._starts.append(self._starts[-1] + count)
        self._features = torch.zeros(self._starts[-1], dim)
        self._is_filled = torch.zeros(self._starts[-1], dtype=torch.bool)
        self._momentum = momentum

    def __len__(self) -> int:
        """Return the number of slides."""
        return len(self._starts) - 1

    def tile_count(self, slide: int) -> int:
        """Return the number of tiles of a slide."""
        return self._starts[slide + 1] - self._starts[slide]

    @property
    def is_full(self) -> bool:
        """Whether every tile has been written."""
        return bool(self._is_filled.all())

    def features(self, slide: int, tiles: Tensor | None = None) -> Tensor:
        """Return stored features of a slide, never part of a gradient.

        Parameters
        ----------
        slide : int
            Number of the slide.
        tiles : Tensor, optional
            (n,) tile numbers; all by default.

        Returns
        -------
        Tensor
            (n, dim) unit rows on the CPU.
        """
        stored = self._features[self._starts[slide] : self._starts[slide + 1]]
        return stored if tiles is None else stored[tiles]

    @torch.no_grad()
    def write(
        self, slide: int, tiles: Tensor, features: Tensor, *, has_momentum: bool = True
    ) -> None:
        """Store fresh features of some tiles of a slide.

        Parameters
        ----------
        slide : int
            Number of the slide.
        tiles : Tensor
            (n,) distinct tile numbers.
        features : Tensor
            (n, dim); detached and normalised here.
        has_momentum : bool
            False overwrites whatever the bank's momentum is, as a refill does.
        """
        rows = tiles + self._starts[slide]
        fresh = features.detach().to(self._features)
        if self._momentum and has_momentum:
            keep = self._momentum * self._is_filled[rows].unsqueeze(1)
            fresh = keep * self._features[rows] + (1 - keep) * fresh
        self._features[rows] = torch.nn.functional.normalize(fresh, dim=1)
        self._is_filled[rows] = True
