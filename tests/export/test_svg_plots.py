"""Plots: every mark where its numbers say, and text that is valid whatever it holds."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from napari_dre_slcl.export.svg_marks import Axes, Band, Dots, Line, Mark
from napari_dre_slcl.export.svg_plots import draw_plot

SVG = "{http://www.w3.org/2000/svg}"


def _parse(*marks: Mark, **axes: object) -> ET.Element:
    return ET.fromstring(draw_plot(Axes(**({"title": "T"} | axes)), list(marks)))


def _centres(svg: ET.Element) -> list[tuple[float, float]]:
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in svg.iter(f"{SVG}circle")]


def test_a_dot_in_the_middle_of_both_ranges_lies_between_the_corners() -> None:
    dots = Dots((0.0, 5.0, 10.0), (-1.0, 0.0, 1.0))
    low, middle, high = _centres(_parse(dots, x_range=(0.0, 10.0), y_range=(-1.0, 1.0)))
    assert middle[0] == pytest.approx((low[0] + high[0]) / 2, abs=0.1)
    assert middle[1] == pytest.approx((low[1] + high[1]) / 2, abs=0.1)
    assert low[0] < high[0]
    assert low[1] > high[1], "y grows upwards"


def test_rows_stand_from_the_top_in_their_order() -> None:
    svg = _parse(Dots((0.5, 0.5), (0.0, 1.0)), rows=("first", "second"))
    first, second = _centres(svg)
    assert first[1] < second[1]
    words = [text.text for text in svg.iter(f"{SVG}text")]
    assert {"first", "second"} <= set(words)


def test_numbers_that_are_none_are_left_out() -> None:
    svg = _parse(Dots((0.1, math.nan), (0.2, 0.3)), Line((0.0, 0.5, 1.0), (0.0, math.inf, 1.0)))
    assert len(_centres(svg)) == 1
    (line,) = svg.iter(f"{SVG}polyline")
    assert len(line.attrib["points"].split()) == 2


def test_a_band_goes_up_one_side_and_down_the_other() -> None:
    svg = _parse(Band((0.0, 1.0), (0.1, 0.2), (0.3, 0.4)))
    (area,) = svg.iter(f"{SVG}polygon")
    points = [tuple(map(float, pair.split(","))) for pair in area.attrib["points"].split()]
    assert [x for x, _ in points] == [points[0][0], points[1][0], points[1][0], points[0][0]]
    assert points[0][1] < points[3][1]


def test_names_are_escaped() -> None:
    name = 'a < b & "c"'
    svg = _parse(Dots((0.5,), (0.5,), [name], label=name), title=name, x_label=name)
    assert svg.attrib["aria-label"] == name
    assert [title.text for title in svg.iter(f"{SVG}title")] == [name]


@pytest.mark.parametrize("span", [(0.0, 1.0), (0.91, 0.97), (-3.0, 12.0), (0.0, 1e-4)])
def test_ticks_are_few_and_inside(span: tuple[float, float]) -> None:
    svg = _parse(x_range=span, y_range=(7.0, 7.5))
    words = [text.text or "" for text in svg.iter(f"{SVG}text")]
    on_x = [float(word) for word in words if word and word[-1].isdigit() and float(word) < 7]
    assert 2 <= len([value for value in on_x if span[0] <= value <= span[1]]) <= 7


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        draw_plot(Axes("T", x_range=(1.0, 1.0)), [])
