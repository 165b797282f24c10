"""A slide becomes a grid of tissue tiles and their pixels; knows nothing of patients or models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from napari_dre_slcl.tiles.geojson import save_geojson
from napari_dre_slcl.tiles.grid import TileGrid, TileStatus
from napari_dre_slcl.tiles.loader import TileLoader, TileSource
from napari_dre_slcl.tiles.mask import MASK_SUFFIX, MaskClass, TissueMask, load_tissue_mask

if TYPE_CHECKING:
    from napari_dre_slcl.tiles.overview import Overview, pixels_searched, read_overview
    from napari_dre_slcl.tiles.tiling import tile_slide
    from napari_dre_slcl.tiles.tissue import find_tissue

# Imported when first used: they need scipy and scikit-image, which a slide on the screen does not.
_HOME = {
    "Overview": "overview",
    "find_tissue": "tissue",
    "pixels_searched": "overview",
    "read_overview": "overview",
    "tile_slide": "tiling",
}

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
    "pixels_searched",
    "read_overview",
    "save_geojson",
    "tile_slide",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
