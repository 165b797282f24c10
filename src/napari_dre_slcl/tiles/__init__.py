"""A slide becomes a grid of tissue tiles and their pixels; knows nothing of patients or models."""

from napari_dre_slcl.tiles.geojson import save_geojson
from napari_dre_slcl.tiles.grid import TileGrid, TileStatus
from napari_dre_slcl.tiles.loader import TileLoader, TileSource
from napari_dre_slcl.tiles.mask import MASK_SUFFIX, MaskClass, TissueMask, load_tissue_mask
from napari_dre_slcl.tiles.overview import Overview, read_overview
from napari_dre_slcl.tiles.tiling import tile_slide
from napari_dre_slcl.tiles.tissue import find_tissue

__all__ = [
    "MASK_SUFFIX",
    "MaskClass",
    "Overview",
    "TileGrid",
    "TileLoader",
    "TileSource",
    "TileStatus",
    "TissueMask",
    "find_tissue",
    "load_tissue_mask",
    "read_overview",
    "save_geojson",
    "tile_slide",
]
