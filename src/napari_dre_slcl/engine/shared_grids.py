"""The tissue of a cohort's slides, found by all processes of a training, each for its share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.engine.broken_slides import BrokenSlides
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
    slides: Mapping[int, Slide],
    names: Mapping[int, str],
    tiling: TilingConfig,
    reporter: Reporter,
    world: World,
    broken: BrokenSlides,
) -> dict[int, TileGrid]:
    """Tile all slides, each in one of the processes; all must call this with the same slides.

    Parameters
    ----------
    slides : mapping of Slide
        Open slides by their row.
    names : mapping of str
        Their names, for the progress.
    tiling : TilingConfig
        Settings.
    reporter : Reporter
        Told the progress.
    world : World
        The processes.
    broken : BrokenSlides
        Told of slides that have no tissue or cannot be read; knows all of them afterwards.

    Returns
    -------
    dict of TileGrid
        By row, without the broken slides; the same in all processes.

    Raises
    ------
    SlideError, CohortError
        In all processes, if one meets a slide that may not be left out.
    """
    rows = list(slides)
    shares = deal([math.prod(slides[row].info.shape) for row in rows], world.size)

    def tile_own() -> dict[int, TileGrid]:
        grids = {}
        for done, number in enumerate(shares[world.rank]):
            row, told = rows[number], min(done * world.size, len(rows))
            reporter.progress(_STAGE, told, len(rows), names[row])
            try:
                grids[row] = tile_slide(slides[row], tiling)
            except SlideError as error:
                broken.add(row, error)
        reporter.progress(_STAGE, len(rows), len(rows))
        return grids

    try:
        grids = reporter.each(tile_own)
    except Elsewhere as error:  # which process has met it says nothing of the slide
        raise SlideError(error.sentence) from error
    broken.agree(world)
    if world.size == 1:
        return grids
    told = gather_answers(world, {row: _packed(grid) for row, grid in grids.items()})
    return {row: _unpacked(one, tiling) for row, one in told.items()}


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
