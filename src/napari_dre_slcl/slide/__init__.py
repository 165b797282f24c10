"""One slide file on disk becomes pixels; knows nothing of tissue, cohorts or screens.

Names are imported when they are asked for, so that a command can start a trial process
(`napari_dre_slcl.trial`) before it imports the readers itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_dre_slcl.slide.info import Finding, SlideInfo
    from napari_dre_slcl.slide.slide import Slide, open_slide
    from napari_dre_slcl.slide.slide_pool import SlidePool

_HOME = {
    "Finding": "info",
    "Slide": "slide",
    "SlideInfo": "info",
    "SlidePool": "slide_pool",
    "open_slide": "slide",
}

__all__ = ["Finding", "Slide", "SlideInfo", "SlidePool", "open_slide"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
