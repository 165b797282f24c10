"""Which tile of the slide that is meant lies at a place of the viewer's world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_dre_slcl.gui.overlay import Overlay

__all__ = ["tile_at"]


def tile_at(overlay: Overlay, position: Sequence[float]) -> int | None:
    """Return the tile at a place, as its position in the result's tile table.

    Parameters
    ----------
    overlay : Overlay
        Knows the result of the slide that is meant.
    position : sequence of float
        World coordinates, as mouse events have them.

    Returns
    -------
    int or None
        None outside the tiles, or where the slide has no result.
    """
    drawn = overlay.drawn
    if drawn is None or not len(drawn.result.rowcol):
        return None
    grid = overlay.layer("attention") or overlay.layer("clusters")
    slide = overlay.layer("slide")
    if grid is not None:
        cell = np.floor(np.asarray(grid.world_to_data(position)) + 0.5)
    elif slide is not None:
        pixel = np.asarray(slide.world_to_data(position))
        cell = np.floor((pixel + 0.5) / drawn.result.tile_size_px)
    else:
        return None
    row, column = (int(value) for value in cell[-2:])
    rows, columns = drawn.places.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return None
    place = int(drawn.places[row, column])
    return None if place < 0 else place
