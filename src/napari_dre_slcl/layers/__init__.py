"""Slides, masks and results as napari LayerData tuples, without importing napari."""

from napari_dre_slcl.layers.colors import codeword_colors, codeword_name, codeword_shares
from napari_dre_slcl.layers.result import (
    attention_colormap,
    attention_layer,
    cluster_layer,
    result_layers,
)
from napari_dre_slcl.layers.slide import slide_layer
from napari_dre_slcl.layers.tissue import mask_layer, tissue_layer
from napari_dre_slcl.layers.world import METADATA_KEY, LayerData, grid_transform, world_transform

__all__ = [
    "METADATA_KEY",
    "LayerData",
    "attention_colormap",
    "attention_layer",
    "cluster_layer",
    "codeword_colors",
    "codeword_name",
    "codeword_shares",
    "grid_transform",
    "mask_layer",
    "result_layers",
    "slide_layer",
    "tissue_layer",
    "world_transform",
]
