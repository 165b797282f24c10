"""One slide whose tissue was found, and the slow questions about it, for a thread without Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.gui.mask_painting import MaskPainting
from napari_dre_slcl.gui.tissue_state import TissueChoice, TissueState
from napari_dre_slcl.slide import SlideInfo
from napari_dre_slcl.tiles import TileGrid, TissueMask
from napari_dre_slcl.tiles.painting import classes_of, lay_over
from napari_dre_slcl.tiles.preview import TilePreview

__all__ = ["TissueSession", "begin", "judge"]


@dataclass(slots=True, eq=False)
class TissueSession:
    """One slide whose tissue was found.

    Parameters
    ----------
    info : SlideInfo
        The slide, with the pixel size that it had then.
    preview : TilePreview
        Of the slide.
    found : TissueMask
        The mask that lies under the painting.
    found_at : float or None
        The threshold that it was found with.
    painting : MaskPainting
        Of the mask's layer.
    tiling : TilingConfig
        What is automatic.
    threshold, min_tissue : optional
        As the user wants them; None is automatic.
    grid : TileGrid or None
        The tiles that are shown.
    n_unseen : int
        Tiles that were not yet looked at for blur.
    is_asked : bool
        Whether the user waits for the next answer; only then do deleted layers come back.
    has_failed : bool
        Whether the last question had no answer.
    """

    info: SlideInfo
    preview: TilePreview
    found: TissueMask
    found_at: float | None
    painting: MaskPainting
    tiling: TilingConfig
    threshold: int | None = None
    min_tissue: float | None = None
    grid: TileGrid | None = None
    n_unseen: int = 0
    is_asked: bool = False
    has_failed: bool = False

    @property
    def wanted_threshold(self) -> float | None:
        """The threshold to find the mask with; None lets the slide decide."""
        return self.tiling.tissue_threshold if self.threshold is None else self.threshold

    @property
    def wanted_tiling(self) -> TilingConfig:
        """The tiling with the least tissue that the user wants."""
        if self.min_tissue is None:
            return self.tiling
        return self.tiling.model_copy(update={"min_tissue": self.min_tissue})

    def state(self, is_in_hand: bool) -> TissueState:
        """Return what there is to show.

        Parameters
        ----------
        is_in_hand : bool
            Whether the mask's layer is the one that the mouse works on.
        """
        automatic = self.tiling.tissue_threshold or self.preview.overview.auto_threshold
        return TissueState(
            threshold=self.threshold,
            # The whole number that gives the same mask; colours are whole numbers.
            auto_threshold=math.ceil(automatic),
            min_tissue=self.min_tissue,
            auto_min_tissue=self.tiling.min_tissue,
            is_painted=self.painting.is_painted,
            tool=self.painting.tool if is_in_hand else None,
            brush_um=self.painting.brush_um,
            grid=self.grid,
            n_unseen=self.n_unseen,
            has_failed=self.has_failed,
        )

    def mask(self) -> TissueMask:
        """Return the mask as threshold and painting make it now."""
        threshold = self.wanted_threshold
        is_known = self.found_at == threshold
        found = self.found if is_known else self.preview.overview.mask(threshold)
        return painted_over(found, self.painting.values)

    def choice(self) -> TissueChoice | None:
        """Return what the user has changed; None where everything is automatic."""
        is_changed = self.threshold is not None or self.painting.is_painted
        if not is_changed and self.min_tissue is None:
            return None
        return TissueChoice(self.mask() if is_changed else None, self.min_tissue)


def painted_over(found: TissueMask, values: NDArray[np.uint8]) -> TissueMask:
    """Return a mask with a painting over it."""
    return replace(found, labels=classes_of(lay_over(values, found.labels)))


def begin(info: SlideInfo, threshold: float | None) -> tuple[TilePreview, TissueMask]:
    """Read a slide and find its tissue.

    Parameters
    ----------
    info : SlideInfo
        The slide.
    threshold : float or None
        None lets the slide decide.

    Raises
    ------
    SlideError
        If the slide cannot be read or is not brightfield.
    """
    preview = TilePreview(info)
    return preview, preview.overview.mask(threshold)


def judge(
    preview: TilePreview,
    found: TissueMask | float | None,
    values: NDArray[np.uint8],
    tiling: TilingConfig,
    looks: int,
) -> tuple[TissueMask, TileGrid, int]:
    """Find the mask, and the tiles that it leaves with a painting over it.

    Parameters
    ----------
    preview : TilePreview
        Of the slide.
    found : TissueMask, float or None
        The mask where it is known, else the threshold to find it with.
    values : ndarray of uint8
        The painting.
    tiling : TilingConfig
        Tile edge, resolution and what to leave out.
    looks : int
        How many tiles may be looked at for blur now.

    Returns
    -------
    found : TissueMask
    grid : TileGrid
    n_unseen : int
        Tiles that still have to be looked at.

    Raises
    ------
    SlideError
        If the slide can no longer be read.
    """
    if not isinstance(found, TissueMask):
        found = preview.overview.mask(found)
    grid, n_unseen = preview.grid(painted_over(found, values), tiling, looks)
    return found, grid, n_unseen
