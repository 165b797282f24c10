"""The tissue of a cohort's slides, found by all processes of a training, each for its share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.share_out import deal, gather_answers, pack, unpack
from napari_dre_slcl.engine.team_reporter import Elsewhere
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles import tile_slide
from napari_dre_slcl.tiles.grid import TileGrid

__all__ = ["find_grids"]

_STAGE = "Finding tissue"


def find_grids(
    slides: Sequence[Slide],
    names: Sequence[str],
    tiling: TilingConfig,
    reporter: Reporter,
    world: World,
) -> list[TileGrid]:
    """Tile all slides, each in one of the processes; all must call this with the same slides.

    Parameters
    ----------
    slides : sequence of Slide
        (n) open slides.
    names : sequence of str
        (n) their names, for the progress.
    tiling : TilingConfig
        Settings.
    reporter : Reporter
        Told the progress.
    world : World
        The processes.

    Returns
    -------
    list of TileGrid
        (n) the same in all processes.

    Raises
    ------
    SlideError
        In all processes, the first that one of them meets.
    """
    shares = deal([math.prod(slide.info.shape) for slide in slides], world.size)

    def tile_own() -> dict[int, TileGrid]:
        grids = {}
        for done, number in enumerate(shares[world.rank]):
            told = min(done * world.size, len(slides))
            reporter.progress(_STAGE, told, len(slides), names[number])
            grids[number] = tile_slide(slides[number], tiling)
        reporter.progress(_STAGE, len(slides), len(slides))
        return grids

    try:
        grids = reporter.each(tile_own)
    except Elsewhere as error:  # which process has met it says nothing of the slide
        raise SlideError(error.sentence) from error
    if world.size == 1:
        return list(grids.values())
    told = gather_answers(world, {number: _packed(grid) for number, grid in grids.items()})
    return [_unpacked(one, tiling) for one in told.values()]


def _packed(grid: TileGrid) -> dict[str, Any]:
    return {
        "size_px": grid.size_px,
        "mpp": grid.mpp,
        "shape": list(grid.shape),
        "status": pack(grid.status),
    }


def _unpacked(told: dict[str, Any], tiling: TilingConfig) -> TileGrid:
    status = unpack(told["status"], np.uint8, told["shape"])
    return TileGrid(tiling.tile_px, told["size_px"], status, told["mpp"], tiling.mpp)
