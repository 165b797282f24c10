"""A slide as a napari LayerData tuple."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_dre_slcl.layers.layer_name import layer_name
from napari_dre_slcl.layers.world import METADATA_KEY, LayerData, world_transform
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.slide.damage import log_damage
from napari_dre_slcl.slide.pyramid import slide_pyramid

__all__ = ["slide_layer"]


def slide_layer(slide: Slide, on_damage: Callable[[str], None] = log_damage) -> LayerData:
    """Return a slide as one lazy multiscale RGB image.

    Parameters
    ----------
    slide : Slide
        Kept open by the layer, and closed when the layer is gone and nobody else keeps it.
    on_damage : callable, optional
        Gets one sentence when pixels that cannot be decoded are first drawn, in white; it may be
        called from any thread. By default the sentence goes to the log.

    Returns
    -------
    tuple
        (levels, keyword arguments, "image").
    """
    info = slide.info
    facts = {"kind": "slide", "path": info.path, "info": info, "mpp": info.mpp}
    return (
        slide_pyramid(slide, on_damage=on_damage),
        {
            "name": layer_name(Path(info.path).stem),
            "rgb": True,
            "multiscale": True,
            "contrast_limits": (0, 255),
            "metadata": {METADATA_KEY: facts},
            **world_transform(info.mpp),
        },
        "image",
    )
