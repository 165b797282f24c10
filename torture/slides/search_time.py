"""Judges how long a search for tissue took by what OpenSlide alone takes for the same pixels."""

from __future__ import annotations

import time
from itertools import product
from pathlib import Path

import openslide

from torture.slides.bounds import MOST_TIMES_PLAIN, SLOW_S

__all__ = ["judge_search", "plain_reading_s"]

BLOCK_PX = 2048


def judge_search(path: Path, downsample: float, took_s: float, slow_s: float = SLOW_S) -> None:
    """Refuse a search for tissue that took long, unless the file itself takes as long.

    Parameters
    ----------
    path : Path
    downsample : float
        At which tissue was searched for.
    took_s : float
        Seconds of processor time.
    slow_s : float
        Up to here all is well.

    Raises
    ------
    TimeoutError
    """
    if took_s <= slow_s:
        return
    plain_s = plain_reading_s(path, downsample)
    if plain_s is None or took_s > MOST_TIMES_PLAIN * plain_s:
        plain = "does not read it" if plain_s is None else f"took {plain_s:.1f} s"
        raise TimeoutError(f"the search for tissue took {took_s:.1f} s; OpenSlide alone {plain}")


def plain_reading_s(path: Path, downsample: float) -> float | None:
    """Read each pixel of one level by OpenSlide, and nothing else.

    Parameters
    ----------
    path : Path
    downsample : float
        The coarsest level that is as fine as this is read.

    Returns
    -------
    float or None
        Seconds of processor time; None where OpenSlide does not read the file to its end.
    """
    begun = time.process_time()
    try:
        with openslide.OpenSlide(path) as slide:
            level = slide.get_best_level_for_downsample(downsample)
            width, height = slide.level_dimensions[level]
            times = slide.level_downsamples[level]
            for y, x in product(range(0, height, BLOCK_PX), range(0, width, BLOCK_PX)):
                size = min(BLOCK_PX, width - x), min(BLOCK_PX, height - y)
                slide.read_region((round(x * times), round(y * times)), level, size)
    except openslide.OpenSlideError:
        return None
    return time.process_time() - begun
