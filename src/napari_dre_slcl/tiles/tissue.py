"""Where the tissue of an H&E slide is, with pen marks and folds told apart."""

from __future__ import annotations

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles.mask import TissueMask
from napari_dre_slcl.tiles.overview import read_overview

__all__ = ["find_tissue"]


def find_tissue(slide: Slide, config: TilingConfig = TilingConfig()) -> TissueMask:  # noqa: B008
    """Find the tissue, the pen marks and the folds of a brightfield slide.

    Tissue is what is coloured against the slide's own glass, by Otsu's threshold within narrow
    bounds, so that grey glass, shadows and dust stay out and pale stains stay in.

    Parameters
    ----------
    slide : Slide
        With a known `info.mpp`.
    config : TilingConfig, optional
        Its `tissue_threshold` replaces Otsu's.

    Returns
    -------
    TissueMask

    Raises
    ------
    SlideError
        If the pixel size is unknown, the slide is not brightfield, or the file is damaged.
    """
    return read_overview(slide).mask(config.tissue_threshold)
