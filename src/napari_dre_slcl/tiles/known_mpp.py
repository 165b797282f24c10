"""A slide's pixel size, or the sentence that says how to give it."""

from __future__ import annotations

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide

__all__ = ["known_mpp"]


def known_mpp(slide: Slide) -> float:
    """Return the slide's µm per level-0 pixel, or raise SlideError that says how to give it."""
    if slide.info.mpp is None:
        source = slide.info.mpp_source
        reason = "" if source == "unknown" else f" ({source})"
        raise SlideError(
            f"Slide '{slide.name}' has no known pixel size{reason}. Give mpp= or --mpp, "
            "fill the cohort table's mpp column, or set it in the window's Slide tab."
        )
    return slide.info.mpp
