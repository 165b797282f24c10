"""Small line and dot plots as SVG text, for pages that need neither network nor script."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_dre_slcl.export.html_text import escape
from napari_dre_slcl.export.svg_marks import Axes, Band, Dots, Line, Mark

__all__ = ["draw_plot"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 30, 44
_LEGEND_LINE = 18
_LETTER = 6.6
_MOST_TICKS = 6
_DOT = 4


class _Frame:
    """Where a value lies in the picture."""

    def __init__(self, axes: Axes) -> None:
        longest = max((len(name) for name in axes.rows), default=0)
        self.axes = axes
        self.left = max(_LEFT, 14 + _LETTER * longest)
        self.right = axes.width_px - _RIGHT
        self.bottom = axes.height_px - _BOTTOM
        self.y_range = (len(axes.rows) - 0.5, -0.5) if axes.rows else axes.y_range

    def x(self, value: float) -> float:
        low, high = self.axes.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - _TOP)

    def points(self, x: Sequence[float], y: Sequence[float]) -> list[str]:
        return [
            f"{self.x(a):.1f},{self.y(b):.1f}"
            for a, b in zip(x, y, strict=True)
            if math.isfinite(a) and math.isfinite(b)
        ]


def draw_plot(axes: Axes, marks: Sequence[Mark]) -> str:
    """Return an ``<svg>`` element.

    Parameters
    ----------
    axes : Axes
        Titles, ranges and size.
    marks : sequence of Line, Band or Dots
        Drawn in this order, later ones on top; the ranges of the axes must hold them.

    Raises
    ------
    ValueError
        If a range is empty.
    """
    for low, high in (axes.x_range, axes.y_range):
        if not low < high:
            raise ValueError(f"the range from {low} to {high} is empty")
    frame = _Frame(axes)
    labelled = [mark for mark in marks if mark.label]
    parts = [
        _open_tag(axes, axes.height_px + _LEGEND_LINE * len(labelled)),
        _title(frame),
        *_grid(frame),
        *(_draw(mark, frame) for mark in marks),
        *_legend(frame, labelled),
        "</svg>",
    ]
    return "\n".join(parts)


def _open_tag(axes: Axes, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {axes.width_px} {height}" '
        f'width="{axes.width_px}" height="{height}" role="img" '
        f'aria-label="{escape(axes.title)}" font-family="sans-serif" font-size="12" '
        'fill="#222222">'
    )


def _title(frame: _Frame) -> str:
    return (
        f'<text x="{frame.left:.0f}" y="18" font-size="13" font-weight="bold">'
        f"{escape(frame.axes.title)}</text>"
    )


def _ticks(low: float, high: float) -> list[float]:
    """Return round values between two others, at most six of them."""
    exponent = math.floor(math.log10(high - low)) - 1
    steps = (m * 10.0**e for e in range(exponent, exponent + 3) for m in (1, 2, 2.5, 5))
    step = next(s for s in steps if (high - low) / s <= _MOST_TICKS - 0.5)
    first = math.ceil(round(low / step, 6))
    last = math.floor(round(high / step, 6))
    return [round(n * step, 10) for n in range(first, last + 1)]


def _grid(frame: _Frame) -> list[str]:
    axes, parts = frame.axes, []
    for value in _ticks(*axes.x_range):
        x = frame.x(value)
        parts.append(_rule(x, _TOP, x, frame.bottom))
        parts.append(_words(x, frame.bottom + 16, f"{value:g}", "middle"))
    numbers = [(value, f"{value:g}") for value in _ticks(*axes.y_range)]
    names = [(float(row), name) for row, name in enumerate(axes.rows)] or numbers
    for place, name in names:
        y = frame.y(place)
        parts.append(_rule(frame.left, y, frame.right, y))
        parts.append(_words(frame.left - 8, y + 4, name, "end"))
    middle = (frame.left + frame.right) / 2
    parts.append(_words(middle, axes.height_px - 8, axes.x_label, "middle"))
    if axes.y_label:
        y = (_TOP + frame.bottom) / 2
        parts.append(
            f'<text transform="translate(13 {y:.1f}) rotate(-90)" text-anchor="middle">'
            f"{escape(axes.y_label)}</text>"
        )
    return parts


def _draw(mark: Mark, frame: _Frame) -> str:
    if isinstance(mark, Band):
        up = frame.points(mark.x, mark.high)
        down = frame.points(mark.x, mark.low)
        area = " ".join(up + down[::-1])
        return f'<polygon points="{area}" fill="{mark.color}" fill-opacity="0.18"/>'
    if isinstance(mark, Line):
        dash = f' stroke-dasharray="{mark.dash}"' if mark.dash else ""
        return (
            f'<polyline points="{" ".join(frame.points(mark.x, mark.y))}" fill="none" '
            f'stroke="{mark.color}" stroke-width="2" stroke-linejoin="round"{dash}/>'
        )
    return "".join(_dots(mark, frame))


def _dots(mark: Dots, frame: _Frame) -> list[str]:
    names = mark.names or [""] * len(mark.x)
    return [
        f'<circle cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="{_DOT}" fill="{mark.color}" '
        f'fill-opacity="0.75"><title>{escape(name)}</title></circle>'
        for x, y, name in zip(mark.x, mark.y, names, strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]


def _legend(frame: _Frame, marks: Sequence[Mark]) -> list[str]:
    parts = []
    for number, mark in enumerate(marks):
        y = frame.axes.height_px + _LEGEND_LINE * number + 6
        left = frame.left
        if isinstance(mark, Band):
            sample = (
                f'<rect x="{left:.0f}" y="{y - 5}" width="24" height="10" fill="{mark.color}" '
                'fill-opacity="0.18"/>'
            )
        elif isinstance(mark, Line):
            dash = f' stroke-dasharray="{mark.dash}"' if mark.dash else ""
            sample = (
                f'<line x1="{left:.0f}" y1="{y}" x2="{left + 24:.0f}" y2="{y}" '
                f'stroke="{mark.color}" stroke-width="2"{dash}/>'
            )
        else:
            sample = (
                f'<circle cx="{left + 12:.0f}" cy="{y}" r="{_DOT}" fill="{mark.color}" '
                'fill-opacity="0.75"/>'
            )
        parts += [sample, _words(left + 32, y + 4, mark.label, "start")]
    return parts


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd" '
        'stroke-width="1"/>'
    )


def _words(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
