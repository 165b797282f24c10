"""A slide as napari shall draw it: cache as large as its preferences say, damage as a notice."""

from __future__ import annotations

from napari.settings import get_plugin_settings

from napari_dre_slcl.allocator import give_large_blocks_back
from napari_dre_slcl.gui.notices import show_warning
from napari_dre_slcl.layers import LayerData, slide_layer
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.slide.block_cache import viewer_cache

__all__ = ["follow_cache_preference", "viewed_slide"]

_PLUGIN = "napari-dre-slcl"


def viewed_slide(slide: Slide) -> LayerData:
    """Return a slide as a layer for a viewer that the user looks at.

    Parameters
    ----------
    slide : Slide
        Kept open by the layer.

    Returns
    -------
    tuple
        (levels, keyword arguments, "image").
    """
    give_large_blocks_back()
    follow_cache_preference()
    return slide_layer(slide, on_damage=show_warning)


def follow_cache_preference() -> None:
    """Give the cache of drawn slides the size in napari's preferences, now and when it changes.

    Where napari does not know this plugin, as in a script, the size stays as it is.
    """
    try:
        preferences = get_plugin_settings(_PLUGIN).viewer
    except KeyError:
        return
    preferences.events.cache_mib.connect(_on_cache_mib)
    _set_cache_mib(preferences.cache_mib)


def _on_cache_mib(event: object) -> None:
    _set_cache_mib(event.value)  # type: ignore[attr-defined]


def _set_cache_mib(mib: int) -> None:
    viewer_cache().limit_bytes = mib * 2**20
