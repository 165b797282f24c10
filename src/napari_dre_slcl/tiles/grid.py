"""TileGrid: which squares of a slide hold tissue, at one resolution for every slide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles.blur import find_blurred
from napari_dre_slcl.tiles.tissue import find_tissue, known_mpp

__all__ = ["TileGrid", "tile_slide"]

MAX_UPSAMPLING = 1.05
MAX_PEN_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tissue tiles of one slide, on a grid without overlap that starts at (0, 0).

    Parameters
    ----------
    tile_px : int
        Edge of a tile at the target resolution.
    size_px : int
        Edge of a tile, and distance of neighbours, in level-0 pixels.
    shape : (int, int)
        (rows, cols) of whole tiles inside the slide.
    rowcol : ndarray of int64, shape (n, 2)
        Kept tiles, row by row.
    mpp, target_mpp : float
        µm per pixel of level 0, and asked for.
    reasons : dict of str to int
        How many tiles were left out as `background`, `pen` and `blur`.
    """

    tile_px: int
    size_px: int
    shape: tuple[int, int]
    rowcol: NDArray[np.int64]
    mpp: float
    target_mpp: float
    reasons: dict[str, int]

    def __len__(self) -> int:
        return len(self.rowcol)

    @property
    def yx(self) -> NDArray[np.int64]:
        """Top-left corners in level-0 pixels, shape (n, 2)."""
        return self.rowcol * self.size_px

    @property
    def downsample(self) -> float:
        """Level-0 pixels per tile pixel."""
        return self.size_px / self.tile_px


def tile_slide(slide: Slide, config: TilingConfig = TilingConfig()) -> TileGrid:  # noqa: B008
    """Lay a grid over a slide and keep the tiles that hold sharp, unmarked tissue.

    Parameters
    ----------
    slide : Slide
    config : TilingConfig, optional
        Tile edge, resolution and least share of tissue.

    Returns
    -------
    TileGrid

    Raises
    ------
    SlideError
        If the pixel size is unknown or too coarse, the slide is no brightfield slide, or no tile
        holds tissue.
    """
    mpp = known_mpp(slide)
    size_px, shape = _layout(slide, mpp, config)
    mask = find_tissue(slide)
    tissue_share, pen_share = mask.shares(size_px, shape)
    is_pen = pen_share >= MAX_PEN_SHARE
    is_tissue = (tissue_share >= config.min_tissue) & ~is_pen
    rowcol = np.argwhere(is_tissue).astype(np.int64)
    is_blurred = find_blurred(slide, rowcol * size_px, size_px, mpp)
    reasons = {
        "background": int((~is_tissue & ~is_pen).sum()),
        "pen": int(is_pen.sum()),
        "blur": int(is_blurred.sum()),
    }
    if is_blurred.all():
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        raise SlideError(
            f"Slide '{slide.name}' has no tissue tile: of {is_tissue.size} tiles {counts}; "
            "check the slide and its pixel size, or lower min_tissue."
        )
    return TileGrid(config.tile_px, size_px, shape, rowcol[~is_blurred], mpp, config.mpp, reasons)


def _layout(slide: Slide, mpp: float, config: TilingConfig) -> tuple[int, tuple[int, int]]:
    """Return a tile's level-0 edge and the (rows, cols) of whole tiles."""
    if mpp > config.mpp * MAX_UPSAMPLING:
        raise SlideError(
            f"Slide '{slide.name}' has {mpp:g} µm per pixel, coarser than the {config.mpp:g} asked "
            f"for; set the tiles' mpp to {mpp:.2g} or more, or correct the slide's pixel size."
        )
    size_px = max(1, round(config.tile_px * config.mpp / mpp))
    height, width = slide.info.shape
    shape = (height // size_px, width // size_px)
    if 0 in shape:
        raise SlideError(
            f"Slide '{slide.name}' is {height}x{width} px, smaller than one tile of {size_px} px; "
            "give a larger slide or smaller tiles."
        )
    return size_px, shape
