"""A slide becomes a grid of tissue tiles and their pixels; knows nothing of patients or models."""

from napari_dre_slcl.tiles.grid import TileGrid, tile_slide
from napari_dre_slcl.tiles.loader import TileLoader, TileSource
from napari_dre_slcl.tiles.tissue import TissueMask, find_tissue

__all__ = ["TileGrid", "TileLoader", "TileSource", "TissueMask", "find_tissue", "tile_slide"]
