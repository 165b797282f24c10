"""A slide's pixel size, or the sentence that says how to give it."""

from __future__ import annotations

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide

__all__ = ["known_mpp"]


def known_mpp(slide: Slide) -> float:
    """Return a slide's µm per level-0 pixel.

    Raises
    ------
    SlideError
        If it is unknown; says what the file states and the three ways to give it.
    """
    info = slide.info
    if info.mpp is not None:
        return info.mpp
    raise SlideError(next(found.sentence for found in info.findings if found.severity == "error"))
