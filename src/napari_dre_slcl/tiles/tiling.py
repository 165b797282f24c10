"""A slide becomes a grid of tiles: those with sharp, flat, unmarked tissue are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles.blur import find_blurred
from napari_dre_slcl.tiles.grid import TileGrid, TileStatus
from napari_dre_slcl.tiles.known_mpp import known_mpp
from napari_dre_slcl.tiles.mask import MaskClass, TissueMask, cell_means
from napari_dre_slcl.tiles.overview import Overview, read_overview

__all__ = ["damaged_cells", "lay_grid", "tile_slide"]

MAX_PEN_SHARE = 0.1
MAX_FOLD_SHARE = 0.25
_REMEDIES = {
    TileStatus.PEN: "if the marks are no pen, set tiling.leave_out_pen to false",
    TileStatus.BLUR: "scan the slide again, or set tiling.leave_out_blur to false",
    TileStatus.FOLD: "if the dark bands are no folds, set tiling.leave_out_folds to false",
    TileStatus.DAMAGED: "copy the file anew from where it came from",
    TileStatus.BACKGROUND: "check the slide and its pixel size, or lower tiling.min_tissue or "
    "tiling.tissue_threshold",
}


def tile_slide(
    slide: Slide,
    config: TilingConfig = TilingConfig(),  # noqa: B008
    mask: TissueMask | None = None,
) -> TileGrid:
    """Lay a grid over a slide and keep the tiles that hold sharp, flat, unmarked tissue.

    Parameters
    ----------
    slide : Slide
    config : TilingConfig, optional
        Tile edge, resolution and what to leave out.
    mask : TissueMask, optional
        Where the tissue is, as corrected by hand; found anew by default.

    Returns
    -------
    TileGrid

    Raises
    ------
    SlideError
        If the pixel size is unknown or too coarse, the slide is no brightfield slide, the mask is
        of another slide, or no tile is left.

    Examples
    --------
    >>> from napari_dre_slcl import open_slide, tile_slide
    >>> with open_slide("slide.tif", mpp=0.5) as slide:
    ...     grid = tile_slide(slide)
    >>> len(grid), grid.shape, grid.size_px  # tiles with tissue; rows and columns; level-0 pixels
    (8, (4, 6), 256)
    >>> grid.rowcol[0]
    array([1, 1])
    """
    overview = None
    if mask is None:
        _layout(slide, known_mpp(slide), config)  # complains before pixels are read
        overview = read_overview(slide)
        mask = overview.mask(config.tissue_threshold)
    grid = lay_grid(slide, mask, config)
    status = grid.status.copy()
    if overview is not None:
        status[damaged_cells(overview, grid)] = TileStatus.DAMAGED
    if config.leave_out_blur:
        _leave_out_blur(slide, status, grid.size_px, grid.mpp)
    grid = replace(grid, status=status)
    if not len(grid):
        raise _no_tile(slide, grid)
    return grid


def lay_grid(slide: Slide, mask: TissueMask, config: TilingConfig) -> TileGrid:
    """Lay a grid over a slide and judge each tile by the mask alone, without its pixels.

    Parameters
    ----------
    slide : Slide
    mask : TissueMask
        Where the tissue is.
    config : TilingConfig
        Tile edge, resolution and what to leave out.

    Returns
    -------
    TileGrid
        Perhaps without any tile.

    Raises
    ------
    SlideError
        If the pixel size is unknown or too coarse, or the mask is of another slide.
    """
    mpp = known_mpp(slide)
    size_px, shape = _layout(slide, mpp, config)
    if mask.slide_shape != slide.info.shape:
        raise _other_slide(slide, mask)
    status = _judge(mask, size_px, shape, config)
    height, width = slide.info.shape
    status[height // size_px :] = TileStatus.OUTSIDE
    status[:, width // size_px :] = TileStatus.OUTSIDE
    return TileGrid(config.tile_px, size_px, status, mpp, config.mpp)


def damaged_cells(overview: Overview, grid: TileGrid) -> NDArray[np.bool_]:
    """Return which cells of a grid hold pixels that the overview could not read.

    Parameters
    ----------
    overview : Overview
    grid : TileGrid
        Of the same slide.

    Returns
    -------
    ndarray of bool, shape (rows, cols)
        Without the cells that lie over the slide's edge.
    """
    share = cell_means(overview.damaged, grid.size_px / overview.downsample, grid.shape)
    is_damaged: NDArray[np.bool_] = (share > 0) & (grid.status != TileStatus.OUTSIDE)
    return is_damaged


def _layout(slide: Slide, mpp: float, config: TilingConfig) -> tuple[int, tuple[int, int]]:
    """Return a tile's level-0 edge and the (rows, cols) that cover the slide."""
    if mpp > config.mpp * config.max_upsampling:
        raise SlideError(
            f"Slide '{slide.name}' has {mpp:g} µm per pixel, coarser than the {config.mpp:g} asked "
            f"for, and pixels are enlarged {config.max_upsampling:g} times at most; set tiling.mpp "
            f"to {mpp:.2g} or more, correct the slide's pixel size, or raise tiling.max_upsampling."
        )
    size_px = max(1, round(config.tile_px * config.mpp / mpp))
    height, width = slide.info.shape
    if height < size_px or width < size_px:
        raise SlideError(
            f"Slide '{slide.name}' is {height}x{width} px, smaller than one tile of {size_px} px; "
            "give a larger slide or smaller tiles."
        )
    return size_px, (-(-height // size_px), -(-width // size_px))


def _judge(
    mask: TissueMask, size_px: int, shape: tuple[int, int], config: TilingConfig
) -> NDArray[np.uint8]:
    """Return what the mask says of each cell. A fold is tissue; a pen mark is not."""
    fold = mask.share(MaskClass.FOLD, size_px, shape)
    tissue = mask.share(MaskClass.TISSUE, size_px, shape) + fold
    status = np.full(shape, TileStatus.BACKGROUND, np.uint8)
    status[tissue >= config.min_tissue] = TileStatus.KEPT
    if config.leave_out_folds:
        status[(status == TileStatus.KEPT) & (fold >= MAX_FOLD_SHARE)] = TileStatus.FOLD
    if config.leave_out_pen:
        status[mask.share(MaskClass.PEN, size_px, shape) >= MAX_PEN_SHARE] = TileStatus.PEN
    return status


def _leave_out_blur(slide: Slide, status: NDArray[np.uint8], size_px: int, mpp: float) -> None:
    """Look at the pixels of the kept tiles, and mark those that are blurred or damaged."""
    rowcol = np.argwhere(status == TileStatus.KEPT)
    is_blurred, is_damaged = find_blurred(slide, rowcol * size_px, size_px, mpp)
    rows, cols = rowcol.T
    status[rows[is_blurred], cols[is_blurred]] = TileStatus.BLUR
    status[rows[is_damaged], cols[is_damaged]] = TileStatus.DAMAGED


def _other_slide(slide: Slide, mask: TissueMask) -> SlideError:
    (height, width), (rows, cols) = slide.info.shape, mask.slide_shape
    return SlideError(
        f"The tissue mask is of a slide of {rows}x{cols} px, but '{slide.name}' is "
        f"{height}x{width} px; give the mask of this slide."
    )


def _no_tile(slide: Slide, grid: TileGrid) -> SlideError:
    """Say why no tile is left, and what to do about the most frequent reason but background."""
    counts = ", ".join(f"{count} {reason}" for reason, count in grid.reasons.items() if count)
    numbers = {status: grid.reasons[status.name.lower()] for status in _REMEDIES}
    numbers[TileStatus.BACKGROUND] = min(1, numbers[TileStatus.BACKGROUND])
    main = max(numbers, key=lambda status: numbers[status])
    return SlideError(
        f"Slide '{slide.name}' has no tissue tile: of {grid.status.size} tiles {counts}; "
        f"{_REMEDIES[main]}."
    )
