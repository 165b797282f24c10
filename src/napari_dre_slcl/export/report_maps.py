"""Which maps and tiles of a result a report shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.layers import MapChoice, TileMap, available_maps
from napari_dre_slcl.results import SlideResult

__all__ = ["MOST_EVIDENCE", "highest_tiles", "shown_maps"]

MOST_EVIDENCE = 10
"""So that a model of many tasks does not make a page too large to send."""
_TOP_TILES = 8


def shown_maps(result: SlideResult) -> list[MapChoice]:
    """Return attention, the first maps of evidence, and the distance from the codewords."""
    choices = available_maps(result)
    evidence = [one for one in choices if one.key.startswith("evidence:")][:MOST_EVIDENCE]
    plain = [one for one in choices if one.key in ("attention", "distance")]
    return [*plain[:1], *evidence, *plain[1:]]


def highest_tiles(tile_map: TileMap) -> NDArray[np.int64]:
    """Return the tiles of the highest values; of evidence only those that speak for the class."""
    order = np.argsort(-tile_map.values, kind="stable")[:_TOP_TILES]
    if tile_map.kind == "diverging":
        order = order[tile_map.values[order] > 0]
    return order.astype(np.int64)
