"""A result with its layers ready to be added: all that is slow about them is done."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.layers.maps import ATTENTION_KEY, TileMap, available_maps
from napari_dre_slcl.layers.result import cluster_layer, map_layer
from napari_dre_slcl.layers.world import METADATA_KEY, LayerData, grid_transform
from napari_dre_slcl.results import SlideResult

__all__ = ["DrawnResult", "draw_result", "result_layers"]


@dataclass(frozen=True, slots=True, eq=False)
class DrawnResult:
    """A result and its layers.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    tile_map : TileMap or None
        The map among the layers; None where the result has no tiles.
    layers : tuple
        As of `result_layers`.
    places : ndarray
        (rows, columns) int32, position in the tile table of the tile in each cell of the grid, -1
        where there is none.
    """

    result: SlideResult
    tile_map: TileMap | None
    layers: tuple[LayerData, ...]
    places: NDArray[np.int32]

    def on_slide(self, path: str, mpp: float | None) -> DrawnResult:
        """Return the same on a slide that is open: its path and its pixel size rule.

        Parameters
        ----------
        path : str
            The slide's file.
        mpp : float or None
            µm per level-0 pixel; None where it is unknown.
        """
        result = replace(self.result, slide_path=path, mpp=mpp)
        place = grid_transform(result.tile_size_px, mpp)
        layers = []
        for data, options, kind in self.layers:
            facts = options["metadata"][METADATA_KEY] | {"path": path, "mpp": mpp}
            layers.append((data, options | place | {"metadata": {METADATA_KEY: facts}}, kind))
        return replace(self, result=result, layers=tuple(layers))


def draw_result(result: SlideResult, map_key: str = ATTENTION_KEY) -> DrawnResult:
    """Make the layers of a result; may be called in any thread.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    map_key : str
        Of the map to draw; attention where the result has no such map.
    """
    numbers = np.arange(len(result.rowcol), dtype=np.int32)
    places = result.raster(numbers, fill=-1).astype(np.int32, copy=False)
    choices = {choice.key: choice for choice in available_maps(result)}
    if not choices:
        return DrawnResult(result, None, (), places)
    tile_map = choices.get(map_key, choices[ATTENTION_KEY]).make()
    clusters = (cluster_layer(result),) if result.n_codewords else ()
    layers = (*clusters, map_layer(result, tile_map))
    return DrawnResult(result, tile_map, layers, places)


def result_layers(result: SlideResult) -> list[LayerData]:
    """Return the layers that a result has, the lowest first.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    list of tuple
        Clusters and attention; attention alone of a model without codewords; none of a result that
        does not say where its tiles lie.
    """
    return list(draw_result(result).layers)
