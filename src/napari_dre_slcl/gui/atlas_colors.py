"""What the points of an atlas may be coloured by. No Qt widgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.insight.tile_index import TileIndex, label_columns
from napari_dre_slcl.layers import codeword_colors

__all__ = ["ATTENTION", "CODEWORD", "THIS_SLIDE", "Painted", "choices", "paint"]

CODEWORD, THIS_SLIDE, ATTENTION = "Codeword", "This slide", "Attention"
_GREY = (150, 150, 150)
_HIGHLIGHT = (230, 90, 30)
# Multiples of the average, and colours that can be told from a dark and from a light ground.
_ATTENTION = (0.0, 1.0, 2.5, 5.0)
_ATTENTION_COLORS = ((130, 130, 140), (70, 130, 220), (235, 160, 40), (225, 45, 40))


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """Colours of points, and what they mean.

    Parameters
    ----------
    colors : ndarray
        (n, 3) uint8 RGB.
    legend : tuple of (str, tuple of int)
        Names with their RGB.
    """

    colors: NDArray[np.uint8]
    legend: tuple[tuple[str, tuple[int, int, int]], ...]


def choices(index: TileIndex, is_of_tiles: bool) -> tuple[str, ...]:
    """Return what points can be coloured by, the most telling first."""
    of_tiles = ([CODEWORD] if index.n_codewords else []) + [ATTENTION]
    first = of_tiles if is_of_tiles else []
    return (*first, *label_columns(index), THIS_SLIDE)


def paint(
    index: TileIndex,
    rows: NDArray[np.int64] | None,
    choice: str,
    slide_number: int | None,
    codewords: tuple[Sequence[str], NDArray[np.float32]],
) -> Painted:
    """Colour the points of an atlas.

    Parameters
    ----------
    index : TileIndex
        Whose atlas it is.
    rows : ndarray or None
        (n,) rows of the index that the points stand for; None where they are its slides.
    choice : str
        One of `choices`.
    slide_number : int or None
        Position in ``index.slides`` of the slide that is shown.
    codewords : (sequence of str, ndarray)
        Names, and (K, 4) colours of 0-1.
    """
    slides = np.arange(len(index.slides)) if rows is None else index.slide_numbers(rows)
    if choice == CODEWORD and rows is not None:
        return _by_codeword(index.codeword[rows], *codewords)
    if choice == ATTENTION and rows is not None:
        return _by_attention(index.attention[rows])
    if choice == THIS_SLIDE:
        is_this = slides == (-1 if slide_number is None else slide_number)
        return _by_class(is_this.astype(np.int64), ("other slides", "this slide"), this_slide=True)
    labels = [slide.labels.get(choice, "") for slide in index.slides]
    names = sorted(set(labels) - {""})
    numbers = np.array([names.index(label) if label else len(names) for label in labels])
    return _by_class(numbers[slides], (*names, *(["unknown"] if "" in labels else [])))


def _by_codeword(
    codeword: NDArray[np.int32], names: Sequence[str], colors: NDArray[np.float32]
) -> Painted:
    table = np.full((max(len(names), int(codeword.max(initial=0)) + 1), 3), _GREY, np.uint8)
    table[: len(names)] = (np.asarray(colors)[:, :3] * 255).astype(np.uint8)
    return Painted(table[codeword], tuple(zip(names, _tuples(table), strict=False)))


def _by_attention(attention: NDArray[np.float32]) -> Painted:
    stops = np.array(_ATTENTION_COLORS, np.float64)
    mixed = [np.interp(attention, _ATTENTION, stops[:, part]) for part in range(3)]
    names = ("none", "average", "2.5 x", "5 x average or more")
    colors = np.column_stack(mixed).astype(np.uint8)
    return Painted(colors, tuple(zip(names, _ATTENTION_COLORS, strict=True)))


def _by_class(
    numbers: NDArray[np.int64], names: Sequence[str], this_slide: bool = False
) -> Painted:
    table = (codeword_colors(max(1, len(names)))[:, :3] * 255).astype(np.uint8)
    if this_slide:
        table = np.array([_GREY, _HIGHLIGHT], np.uint8)
    elif names and names[-1] == "unknown":
        table[len(names) - 1] = _GREY
    return Painted(table[numbers], tuple(zip(names, _tuples(table), strict=False)))


def _tuples(table: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    return [(int(red), int(green), int(blue)) for red, green, blue in table]
