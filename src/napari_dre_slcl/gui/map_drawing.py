"""The one layer of a slide that shows a map of its tiles: change what it shows, and its numbers."""

from __future__ import annotations

from napari.layers import Image, Layer

from napari_dre_slcl.gui.layer_facts import facts_of
from napari_dre_slcl.layers import METADATA_KEY, LayerData

__all__ = ["change_map", "number_colors"]

_NAME = "own name"


def change_map(layer: Layer, layer_data: LayerData) -> None:
    """Draw another map in a layer; opacity, place and a name that the user gave stay.

    Parameters
    ----------
    layer : napari.layers.Image
        Made of an earlier map of the same slide.
    layer_data : tuple
        As `map_layer` makes it.
    """
    data, options, _ = layer_data
    facts = facts_of(layer)
    is_renamed = layer.name != facts.get(_NAME, layer.name)
    layer.data = data
    for place in ("scale", "translate", "units", "axis_labels"):
        setattr(layer, place, options[place])
    layer.colormap = options["colormap"]
    set_limits(layer, options["contrast_limits"])
    facts |= options["metadata"][METADATA_KEY]
    if not is_renamed:
        layer.name = options["name"]
        facts[_NAME] = layer.name  # napari may have added a number


def set_limits(layer: Layer, limits: tuple[float, float]) -> None:
    """Give an image layer limits, and a range for its slider that holds them."""
    layer.contrast_limits_range = limits
    layer.contrast_limits = limits


def number_colors(layer: Layer) -> None:
    """Show a colour bar with numbers on the canvas, and remember the name that we gave."""
    if not isinstance(layer, Image):
        return
    facts_of(layer)[_NAME] = layer.name
    layer.colorbar.box = True
    layer.colorbar.position = "bottom_left"
    layer.colorbar.visible = True
