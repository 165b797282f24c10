"""slide_pyramid: the levels of a slide for napari, with those added that the file lacks."""

from __future__ import annotations

import math
from collections.abc import Callable

from napari_dre_slcl.slide.block_cache import BlockCache, viewer_cache
from napari_dre_slcl.slide.damage import log_damage
from napari_dre_slcl.slide.info import SlideInfo
from napari_dre_slcl.slide.level_array import LevelArray
from napari_dre_slcl.slide.slide import Slide
from napari_dre_slcl.slide.slide_blocks import DrawnLevel, SlideBlocks

__all__ = ["slide_pyramid"]

# napari reads the whole coarsest level on its main thread.
LONGEST_COARSE_PX = 2048
SHORTEST_COARSE_PX = 512
# napari widens a view to whole blocks: large ones read much unseen, small ones read often.
BLOCK_PX = 512
MOST_BLOCK_PX = 1024 * 1024
LARGEST_TILE_PX = 4096


def slide_pyramid(
    slide: Slide,
    cache: BlockCache | None = None,
    on_damage: Callable[[str], None] = log_damage,
) -> list[LevelArray]:
    """Return a slide's levels for napari, the last at most 2048 px on its longest side.

    Parameters
    ----------
    slide : Slide
        Must stay open for as long as the arrays are used.
    cache : BlockCache, optional
        For decoded blocks; by default the one that all slides of this process share.
    on_damage : callable, optional
        Gets one sentence when pixels that cannot be decoded are first met; they are drawn white.
        By default it goes to the log.

    Returns
    -------
    list of LevelArray
        Finest first. Levels too small to be looked at are left out. Levels are added after the
        last, and between two that are four times apart or more, so that napari never has to draw
        much more than the screen can show.
    """
    levels = _drawn_levels(slide.info)
    block_shape = _block_shape(slide.info.tile_shape)
    source = SlideBlocks(slide, levels, cache or viewer_cache(), on_damage)
    return [
        LevelArray(level.shape, block_shape, source, number) for number, level in enumerate(levels)
    ]


def _drawn_levels(info: SlideInfo) -> list[DrawnLevel]:
    levels: list[DrawnLevel] = []
    pairs = zip(info.level_shapes, info.level_downsamples, strict=True)
    for number, (shape, downsample) in enumerate(pairs):
        if number and max(shape) < SHORTEST_COARSE_PX:
            break
        while levels and levels[-1].downsample * 3 < downsample:
            levels.append(_next_level(info, levels[-1]))
        levels.append(DrawnLevel(shape, downsample, number))
    while max(levels[-1].shape) > LONGEST_COARSE_PX:
        levels.append(_next_level(info, levels[-1]))
    return levels


def _next_level(info: SlideInfo, fine: DrawnLevel) -> DrawnLevel:
    """Return a level that is made by shrinking a finer one by two."""
    downsample = 2 * fine.downsample
    height, width = (math.ceil(round(size / downsample, 6)) for size in info.shape)
    return DrawnLevel((height, width), downsample)


def _block_shape(tile_shape: tuple[int, int]) -> tuple[int, int]:
    """Return whole tiles of the file that make about 512x512 px, long tiles about 1 Mpx."""
    if max(tile_shape) > LARGEST_TILE_PX or min(tile_shape) < 1:
        return BLOCK_PX, BLOCK_PX
    height, width = (edge * max(1, round(BLOCK_PX / edge)) for edge in tile_shape)
    if height > width:
        width = _at_most(width, MOST_BLOCK_PX // height, tile_shape[1])
    else:
        height = _at_most(height, MOST_BLOCK_PX // width, tile_shape[0])
    return height, width


def _at_most(edge: int, most: int, tile: int) -> int:
    """Return an edge, cut to whole tiles of at most `most` pixels, but one tile at least."""
    return edge if edge <= most else max(tile, most // tile * tile)
