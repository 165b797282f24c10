"""One slide file on disk becomes pixels; knows nothing of tissue, cohorts or screens."""

from napari_dre_slcl.slide.info import Finding, SlideInfo
from napari_dre_slcl.slide.slide import Slide, open_slide
from napari_dre_slcl.slide.slide_pool import SlidePool

__all__ = ["Finding", "Slide", "SlideInfo", "SlidePool", "open_slide"]
