"""One random view of all tiles of a slide: every tile is flipped, turned and tinted alike."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["SlideView"]

_GAIN = 0.2
_MIX = 0.05


class SlideView:
    """Draws once, then changes tiles of that slide, batch after batch, in the same way.

    Parameters
    ----------
    generator : torch.Generator
        On the CPU.
    tint : float, default 1.0
        Strength of the tint, which acts on optical densities as that of `augment_tiles`; 0 keeps
        the colours.
    """

    def __init__(self, generator: torch.Generator, tint: float = 1.0) -> None:
        self._is_flipped = bool(torch.rand((), generator=generator) < 0.5)
        self._quarters = int(torch.randint(4, (), generator=generator))
        gain = 2 * torch.rand(3, generator=generator) - 1
        mix = 2 * torch.rand(3, 3, generator=generator) - 1
        self._mixing = torch.diag(1 + tint * _GAIN * gain) + tint * _MIX * mix
        self._has_tint = tint > 0

    def __call__(self, tiles: Tensor) -> Tensor:
        """Return (n, 3, size, size) tiles of values 0 to 1, changed."""
        if self._is_flipped:
            tiles = tiles.flip(-1)
        tiles = torch.rot90(tiles, self._quarters, (-2, -1))
        if not self._has_tint:
            return tiles
        density = -tiles.clamp_min(1 / 255).log()
        density = torch.einsum("ij,njhw->nihw", self._mixing.to(tiles), density)
        return torch.exp(-density).clamp(max=1)
