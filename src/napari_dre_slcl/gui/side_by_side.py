"""Two views of one slide beside each other in napari's grid: clusters left, attention right."""

from __future__ import annotations

from typing import Any

from napari.layers import Layer

from napari_dre_slcl.layers import METADATA_KEY, LayerData, world_transform

__all__ = ["COPY_KIND", "set_grid", "slide_copy", "stack_in_pairs"]

COPY_KIND = "slide copy"
"""Kind of the layer that draws the slide a second time, under the attention."""

_LAYERS_PER_VIEW = 2


def slide_copy(slide: Layer) -> LayerData:
    """Return a second layer of the same slide; it shares the pixels and their cache."""
    facts = slide.metadata[METADATA_KEY] | {"kind": COPY_KIND}
    options = {
        "name": f"{slide.name} (beside)",
        "rgb": True,
        "multiscale": True,
        "contrast_limits": (0, 255),
        "metadata": {METADATA_KEY: facts},
        **world_transform(facts["mpp"]),
    }
    return list(slide.data), options, "image"


def stack_in_pairs(viewer: Any, *layers: Layer) -> None:
    """Put layers at the bottom of the layer list in this order, and show them.

    napari counts hidden layers too when it forms the groups of its grid, from the bottom up: an odd
    one below would part our pairs.
    """
    for layer in reversed(layers):
        viewer.layers.move(viewer.layers.index(layer), 0)
        layer.visible = True


def set_grid(viewer: Any, is_on: bool) -> None:
    """Switch the grid of two pairs on, or go back to one view.

    The grid has one shape whatever else is open, which changes while it is off alone: napari 0.9
    draws a grid of another shape with view boxes of its own, and lets none of them go.
    """
    grid = viewer.canvas.grid
    if not is_on:
        grid.enabled = False
    grid.stride = _LAYERS_PER_VIEW if is_on else 1
    grid.shape = (1, 2) if is_on else (-1, -1)
    if is_on:
        grid.enabled = True
    viewer.reset_view()
