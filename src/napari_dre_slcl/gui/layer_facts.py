"""What our layers say of themselves in their metadata; layers of others say nothing."""

from __future__ import annotations

from typing import Any

from napari.layers import Layer

from napari_dre_slcl.layers import METADATA_KEY, grid_transform, world_transform
from napari_dre_slcl.slide import open_slide

__all__ = ["facts_of", "follow_mpp", "give_mpp", "set_attributes"]


def facts_of(layer: Layer) -> dict[str, Any]:
    """Return the facts of a layer of ours (kind, path, ...), empty for any other."""
    found = layer.metadata.get(METADATA_KEY, {})
    return found if isinstance(found, dict) else {}


def set_attributes(layer: Layer, values: dict[str, Any]) -> None:
    """Set attributes of a layer by name."""
    for name, value in values.items():
        setattr(layer, name, value)


def give_mpp(layer: Layer, mpp: float | None, source: str) -> None:
    """Draw a slide's layer with another pixel size, and note where that came from.

    Parameters
    ----------
    layer : Layer
        Of a slide.
    mpp : float or None
        µm per level-0 pixel; None takes what a stored answer or the file says.
    source : str
        For `SlideInfo.mpp_source`.

    Raises
    ------
    SlideError
        If the size is not plausible, or the file can no longer be opened.
    """
    facts = layer.metadata[METADATA_KEY]
    with open_slide(facts["path"], mpp, mpp_source=source) as slide:
        facts["info"] = slide.info  # with findings that fit the new size
    facts["mpp"] = facts["info"].mpp
    set_attributes(layer, world_transform(facts["mpp"]))


def follow_mpp(
    layer: Layer, slide_mpp: float | None, given: float | None = None, source: str = ""
) -> None:
    """Draw a layer over a slide with the slide's new pixel size.

    Parameters
    ----------
    layer : Layer
        On the slide's tile grid, or the slide itself once more.
    slide_mpp : float or None
        µm per level-0 pixel of the slide now.
    given : float or None
        As given by the user; None takes what a stored answer or the file says.
    source : str
        For `SlideInfo.mpp_source`.
    """
    facts = facts_of(layer)
    if "tile_size_px" in facts:
        set_attributes(layer, grid_transform(facts["tile_size_px"], slide_mpp))
    elif "info" in facts:
        give_mpp(layer, given, source)
