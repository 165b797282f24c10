"""Slides, masks and results as napari LayerData tuples, without importing napari."""

from napari_dre_slcl.layers.colors import codeword_colors, codeword_name, codeword_shares
from napari_dre_slcl.layers.drawn_result import DrawnResult, draw_result, result_layers
from napari_dre_slcl.layers.map_words import MapWords, value_text
from napari_dre_slcl.layers.maps import (
    ATTENTION_KEY,
    SIMILARITY_KEY,
    MapChoice,
    TileMap,
    available_maps,
)
from napari_dre_slcl.layers.result import (
    attention_layer,
    cluster_layer,
    map_colormap,
    map_layer,
    map_layer_name,
)
from napari_dre_slcl.layers.slide import slide_layer
from napari_dre_slcl.layers.tissue import mask_layer, tissue_layer
from napari_dre_slcl.layers.world import METADATA_KEY, LayerData, grid_transform, world_transform

__all__ = [
    "ATTENTION_KEY",
    "METADATA_KEY",
    "SIMILARITY_KEY",
    "DrawnResult",
    "LayerData",
    "MapChoice",
    "MapWords",
    "TileMap",
    "attention_layer",
    "available_maps",
    "cluster_layer",
    "codeword_colors",
    "codeword_name",
    "codeword_shares",
    "draw_result",
    "grid_transform",
    "map_colormap",
    "map_layer",
    "map_layer_name",
    "mask_layer",
    "result_layers",
    "slide_layer",
    "tissue_layer",
    "value_text",
    "world_transform",
]
