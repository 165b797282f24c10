"""What a plot is made of: lines, bands and dots, and the axes around them; no drawing here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["COLORS", "GREY", "Axes", "Band", "Dots", "Line", "Mark"]

COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#E69F00", "#56B4E9")
"""Told apart by the colour-blind too (Okabe and Ito 2008), and on white paper."""
GREY = "#767676"


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points (x, y); points that are no finite number break it.

    Parameters
    ----------
    x, y : sequence of float
        In the units of the axes.
    label : str
        In the legend; none where empty.
    color, dash : str
        As of SVG.
    """

    x: Sequence[float]
    y: Sequence[float]
    label: str = ""
    color: str = COLORS[0]
    dash: str = ""


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two lines over the same x."""

    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    label: str = ""
    color: str = COLORS[0]


@dataclass(frozen=True, slots=True)
class Dots:
    """Points; each shows its name when the mouse rests on it."""

    x: Sequence[float]
    y: Sequence[float]
    names: Sequence[str] = ()
    label: str = ""
    color: str = COLORS[0]


Mark = Line | Band | Dots


@dataclass(frozen=True, slots=True)
class Axes:
    """What stands around the marks.

    Parameters
    ----------
    title, x_label, y_label : str
        Words.
    x_range, y_range : tuple of float
        Lowest and highest value.
    rows : sequence of str
        Names of rows 0, 1, ... from the top, in place of numbers on the y axis; y_range is
        not looked at then.
    width_px, height_px : int
        Of the whole picture without its legend.
    """

    title: str
    x_label: str = ""
    y_label: str = ""
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    rows: Sequence[str] = ()
    width_px: int = 340
    height_px: int = 300
