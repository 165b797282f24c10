"""Change what layers of ours show; the map's layer has a colour bar with numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Layer

from napari_dre_slcl.gui.layer_facts import facts_of, set_attributes
from napari_dre_slcl.layers import LayerData

__all__ = ["change_map", "change_raster", "number_colors", "set_limits"]

_NAME = "given name"
_FONT_PT = 8  # so that name and unit fit half a canvas
_BAR_PX = (20, 180)  # long enough for three numbers
_CONTENT = ("features", "colormap", "metadata")
_PLACE = ("scale", "translate", "units", "axis_labels")
_LONG = {"um": "micrometer"}  # as napari spells it


def change_raster(layer: Layer, layer_data: LayerData) -> None:
    """Give a layer the content of another; its name, opacity and visibility stay.

    Parameters
    ----------
    layer : napari.layers.Layer
        Of the same kind.
    layer_data : tuple
        As the functions of `napari_dre_slcl.layers` make it.
    """
    data, options, _ = layer_data
    layer.data = data
    same = {"colormap"} if _has_colormap(layer, options) else set()
    set_attributes(layer, {name: options[name] for name in _CONTENT if name in {*options} - same})
    # Each of these lets napari lay out the whole scene anew, so they are seldom set.
    if not np.allclose((layer.scale, layer.translate), (options["scale"], options["translate"])):
        set_attributes(layer, {name: options[name] for name in _PLACE})
    elif [str(unit) for unit in layer.units] != [
        _LONG.get(unit, unit) for unit in options["units"]
    ]:
        layer.units = options["units"]


def change_map(layer: Layer, layer_data: LayerData) -> None:
    """Draw another map in a layer; a name that the user gave stays.

    Parameters
    ----------
    layer : napari.layers.Image
        Made of an earlier map of the same slide.
    layer_data : tuple
        As `map_layer` makes it.
    """
    name, options = facts_of(layer).get(_NAME), layer_data[1]
    change_raster(layer, layer_data)
    set_limits(layer, options["contrast_limits"])
    if layer.name == name:
        layer.name = options["name"]
    # napari may have added a number to our name.
    facts_of(layer)[_NAME] = layer.name if layer.name.startswith(options["name"]) else None


def _has_colormap(layer: Layer, options: dict[str, Any]) -> bool:
    """Whether a map is drawn in these colours; setting them again compiles its shaders anew."""
    return isinstance(layer, Image) and layer.colormap.name == options["colormap"]["name"]


def set_limits(layer: Layer, limits: tuple[float, float]) -> None:
    """Give an image layer limits, and a range for its slider that holds them."""
    if tuple(layer.contrast_limits) != limits:
        layer.contrast_limits_range = limits
        layer.contrast_limits = limits


def number_colors(layer: Layer) -> None:
    """Show a colour bar with numbers on the canvas, and remember the name that we gave."""
    if not isinstance(layer, Image):
        return
    facts_of(layer)[_NAME] = layer.name
    layer.colorbar.box = True
    layer.colorbar.position = "bottom_left"
    layer.colorbar.size = _BAR_PX
    layer.colorbar.visible = True
    layer.name_overlay.box = True
    layer.name_overlay.font_size = _FONT_PT
    layer.name_overlay.visible = True
