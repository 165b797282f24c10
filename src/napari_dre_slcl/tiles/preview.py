"""TilePreview: the tiles of one slide for one mask after another, fast enough to follow a hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.slide import SlideInfo, open_slide
from napari_dre_slcl.tiles.blur import find_blurred
from napari_dre_slcl.tiles.grid import TileGrid, TileStatus
from napari_dre_slcl.tiles.mask import TissueMask
from napari_dre_slcl.tiles.overview import read_overview
from napari_dre_slcl.tiles.tiling import damaged_cells, lay_grid

__all__ = ["TilePreview"]

_UNSEEN = 255


class TilePreview:
    """Tells which tiles a mask leaves, and looks at the pixels of each tile once.

    Reads the slide's overview when it is made. Not for several threads at a time.

    Parameters
    ----------
    info : SlideInfo
        The slide; its pixel size counts, wherever it came from.

    Raises
    ------
    SlideError
        If the slide cannot be read, is not brightfield or has no known pixel size.
    """

    def __init__(self, info: SlideInfo) -> None:
        self._path = info.path
        self._mpp = info.mpp
        with open_slide(info.path, info.mpp) as slide:
            self.overview = read_overview(slide)
        self._seen = np.empty((0, 0), np.uint8)
        self._seen_size_px = 0

    def grid(
        self, mask: TissueMask, config: TilingConfig, looks: int | None = None
    ) -> tuple[TileGrid, int]:
        """Return the tiles that a mask leaves.

        Parameters
        ----------
        mask : TissueMask
            Of this slide.
        config : TilingConfig
            Tile edge, resolution and what to leave out.
        looks : int, optional
            How many tiles may be looked at for blur and damage now; all by default. Tiles that
            were not yet looked at count as sharp.

        Returns
        -------
        grid : TileGrid
            Perhaps without any tile; once every tile was looked at, that of `tile_slide`.
        n_unseen : int
            Tiles that still have to be looked at.

        Raises
        ------
        SlideError
            If the slide cannot be read or the mask is of another slide.
        """
        with open_slide(self._path, self._mpp) as slide:
            grid = lay_grid(slide, mask, config)
            seen = self._seen_of(grid)
            is_open = (grid.status == TileStatus.KEPT) & (seen == _UNSEEN)
            if not config.leave_out_blur:
                is_open[:] = False
            rowcol = np.argwhere(is_open)
            rows, cols = rowcol[:looks].T
            is_blurred, is_damaged = find_blurred(
                slide, rowcol[:looks] * grid.size_px, grid.size_px, grid.mpp
            )
        seen[rows, cols] = np.select(
            [is_damaged, is_blurred],
            [np.uint8(TileStatus.DAMAGED), np.uint8(TileStatus.BLUR)],
            np.uint8(TileStatus.KEPT),
        )
        return self._with_seen(grid, seen, config), len(rowcol) - len(rows)

    def _seen_of(self, grid: TileGrid) -> NDArray[np.uint8]:
        """Return what is known of each cell; nothing, where the tiles have another size now."""
        if self._seen_size_px != grid.size_px or self._seen.shape != grid.shape:
            self._seen = np.full(grid.shape, _UNSEEN, np.uint8)
            self._seen_size_px = grid.size_px
        return self._seen

    def _with_seen(self, grid: TileGrid, seen: NDArray[np.uint8], config: TilingConfig) -> TileGrid:
        status = grid.status.copy()
        status[damaged_cells(self.overview, grid)] = TileStatus.DAMAGED
        if config.leave_out_blur:
            is_seen = (status == TileStatus.KEPT) & (seen != _UNSEEN)
            status[is_seen] = seen[is_seen]
        return replace(grid, status=status)
