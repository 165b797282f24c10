"""How many tiles of a slide are used and why the others are not, in words."""

from __future__ import annotations

from napari_dre_slcl.tiles.grid import TileGrid, TileStatus

__all__ = ["left_out_text", "tiles_text"]

_WORDS = {
    TileStatus.BACKGROUND: "background",
    TileStatus.PEN: "pen",
    TileStatus.BLUR: "blur",
    TileStatus.FOLD: "fold",
    TileStatus.OUTSIDE: "over the slide's edge",
    TileStatus.DAMAGED: "damaged",
}


def left_out_text(grid: TileGrid) -> str:
    """Return the number of tiles left out for each reason, such as ``310 background, 12 pen``."""
    reasons = grid.reasons
    counts = ((word, reasons[status.name.lower()]) for status, word in _WORDS.items())
    return ", ".join(f"{count:,} {word}" for word, count in counts if count)


def tiles_text(grid: TileGrid) -> str:
    """Return how many tiles are used, and why the others are left out, as half a sentence."""
    left_out = left_out_text(grid)
    tiles = "tile" if len(grid) == 1 else "tiles"
    return f"{len(grid):,} {tiles}; left out: {left_out}" if left_out else f"{len(grid):,} {tiles}"
