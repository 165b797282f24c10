"""What the entries in napari's menus do for the slide that is meant."""

from __future__ import annotations

import napari

from napari_dre_slcl.gui.open_dock import open_dock
from napari_dre_slcl.layers import ATTENTION_KEY

__all__ = ["predict_slide", "show_attention", "show_clusters"]

_NOTHING = "This slide has no {what} yet. Choose a model here and press 'Predict this slide'."


def predict_slide(viewer: napari.Viewer) -> None:
    """Predict the slide that is meant with the model of the Explore tab, or say what is missing."""
    open_dock(viewer, "Explore").result_panel.predict()


def show_clusters(viewer: napari.Viewer) -> None:
    """Show the tile clusters of the slide that is meant, and no other map over them."""
    _show(viewer, "clusters", "attention", "tile clusters")


def show_attention(viewer: napari.Viewer) -> None:
    """Show the attention over the slide that is meant, and no clusters under it."""
    open_dock(viewer, "Explore").explore_panel.maps.show_map(ATTENTION_KEY)
    _show(viewer, "attention", "clusters", "attention map")


def _show(viewer: napari.Viewer, kind: str, other: str, what: str) -> None:
    dock = open_dock(viewer, "Explore")
    overlay = dock.overlay
    if overlay.layer(kind) is None:
        dock.result_panel.message.complain(_NOTHING.format(what=what))
        return
    overlay.set_side_by_side(False)
    overlay.set_visible(other, False)
    overlay.set_visible(kind, True)
