"""Names of layers, which napari shows in tooltips and in its status bar."""

from __future__ import annotations

from napari_dre_slcl.plain_text import untagged, visible

__all__ = ["layer_name"]


def layer_name(*parts: str) -> str:
    """Return a name of these parts that no window takes for HTML.

    Slides and classes may be called what a stranger likes; napari leaves it to Qt to find out
    whether a name is HTML.
    """
    return untagged(visible(" · ".join(parts)))
