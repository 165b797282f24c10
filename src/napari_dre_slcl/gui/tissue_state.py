"""What there is to show of a slide's tissue, and what of it goes into a prediction. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_dre_slcl.tiles import TileGrid, TissueMask

__all__ = ["TissueChoice", "TissueState", "Tool"]

Tool = Literal["add", "remove"]
"""What a brush does with tissue."""


@dataclass(frozen=True, slots=True)
class TissueState:
    """What there is to show of a slide's tissue.

    Parameters
    ----------
    threshold : int or None
        As set; None lets the slide decide.
    auto_threshold : int
        What the slide decides.
    min_tissue : float or None
        As set; None is that of the model or the settings.
    auto_min_tissue : float
        What None is.
    is_painted : bool
        Whether the mask was painted on.
    tool : "add", "remove" or None
        The brush in hand.
    brush_um : float
        Its width in µm.
    grid : TileGrid or None
        The tiles; None until they are known.
    n_unseen : int
        Tiles that were not yet looked at for blur.
    has_failed : bool
        Whether the tiles could not be counted.
    """

    threshold: int | None
    auto_threshold: int
    min_tissue: float | None
    auto_min_tissue: float
    is_painted: bool
    tool: Tool | None
    brush_um: float
    grid: TileGrid | None
    n_unseen: int
    has_failed: bool


@dataclass(frozen=True, slots=True)
class TissueChoice:
    """What the user has changed of a slide's tissue, for a prediction.

    Parameters
    ----------
    mask : TissueMask or None
        Where threshold or painting changed it.
    min_tissue : float or None
        Where it was set.
    """

    mask: TissueMask | None
    min_tissue: float | None
