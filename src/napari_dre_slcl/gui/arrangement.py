"""Which layers of one slide are shown together: its result, side by side or not, or its tissue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from napari.layers import Layer

from napari_dre_slcl.gui.side_by_side import COPY_KIND, set_grid, stack_in_pairs

__all__ = ["TISSUE_KINDS", "arrange_result", "hide_tissue", "show_tissue"]

TISSUE_KINDS = ("mask", "tissue")
"""Kinds of the layers that show a slide's tissue mask and its tiles."""
_RESULT_KINDS = ("clusters", "attention")

LayerOf = Callable[[str], Layer | None]


def show_tissue(viewer: Any, layer_of: LayerOf) -> None:
    """Show a slide's mask and tiles, above everything, instead of its result.

    Parameters
    ----------
    viewer : napari.Viewer
    layer_of : callable
        Returns the slide's layer of a kind, or None.
    """
    for layer in _present(layer_of, _RESULT_KINDS):
        layer.visible = False
    tissue = _present(layer_of, TISSUE_KINDS)
    _raise(viewer, tissue)
    for layer in tissue:
        layer.visible = True


def hide_tissue(layer_of: LayerOf) -> None:
    """Hide a slide's mask and tiles, which would lie over its clusters."""
    for layer in _present(layer_of, TISSUE_KINDS):
        layer.visible = False


def arrange_result(
    viewer: Any, layer_of: LayerOf, is_side_by_side: bool, aside: WeakSet[Layer]
) -> None:
    """Show clusters and attention beside each other, or over each other again.

    Parameters
    ----------
    viewer : napari.Viewer
    layer_of : callable
        Returns the slide's layer of a kind, or None.
    is_side_by_side : bool
        The slide's second layer must be there then; else it is removed.
    aside : WeakSet of Layer
        Gets the layers of other slides, and a user's own, which are hidden meanwhile: they would be
        drawn over the pairs.
    """
    tissue, copy = _present(layer_of, TISSUE_KINDS), layer_of(COPY_KIND)
    if not is_side_by_side:  # before a layer goes, which would change the shape of the grid
        set_grid(viewer, is_on=False)
        _give_back(viewer, aside)
    if is_side_by_side:
        hide_tissue(layer_of)  # a layer that is shown takes a place in the grid
        for layer in _present(layer_of, ("selection",)):
            layer.visible = False
        pairs = _present(layer_of, ("slide", "clusters", COPY_KIND, "attention"))
        _hide_others(viewer, pairs, aside)
        stack_in_pairs(viewer, *pairs)
        viewer.layers.selection.active = layer_of("slide")
    elif copy is not None:
        viewer.layers.remove(copy)
        _raise(viewer, tissue)
        for layer in _present(layer_of, ("selection",)):
            layer.visible = True
    for layer in _present(layer_of, ("clusters",)):  # the map always says what it shows
        layer.name_overlay.box = True
        layer.name_overlay.font_size = 8
        layer.name_overlay.visible = is_side_by_side
    if is_side_by_side:
        set_grid(viewer, is_on=True)


def _hide_others(viewer: Any, pairs: list[Layer], aside: WeakSet[Layer]) -> None:
    for layer in viewer.layers:
        if layer.visible and layer not in pairs:
            aside.add(layer)
            layer.visible = False


def _give_back(viewer: Any, aside: WeakSet[Layer]) -> None:
    for layer in aside & WeakSet(viewer.layers):
        layer.visible = True
    aside.clear()


def _present(layer_of: LayerOf, kinds: Iterable[str]) -> list[Layer]:
    return [layer for layer in map(layer_of, kinds) if layer is not None]


def _raise(viewer: Any, layers: list[Layer]) -> None:
    for layer in layers:
        viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))
