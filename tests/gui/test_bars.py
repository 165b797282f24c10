"""Bars: what is painted of an interval, and what is said where no call is made."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtGui import QColor, QImage

from napari_dre_slcl.gui.bars import Bar, BarList
from napari_dre_slcl.gui.prediction_bars import prediction_bars
from napari_dre_slcl.gui.theme import ThemeColors
from napari_dre_slcl.results import TaskPrediction

COLORS = ThemeColors(
    QColor("black"), QColor("#404040"), QColor("white"), QColor("blue"), (QColor("blue"),)
)


@pytest.fixture
def prediction() -> TaskPrediction:
    return TaskPrediction(
        "subtype", ("LUAD", "LUSC"), (0.3, 0.7), "LUSC", (0.1, 0.5), (0.5, 0.9), stability=0.99
    )


def test_whisker_lies_from_low_to_high(qtbot) -> None:
    bars = BarList(COLORS)
    qtbot.addWidget(bars)
    bars.setValue([Bar("", 1.0, "", low=0.25, high=0.75)])
    bars.resize(400, bars.sizeHint().height())
    image = bars.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    middle = image.height() // 2
    line = [QColor(image.pixel(x, middle)) for x in range(image.width())]
    blue = [x for x, color in enumerate(line) if color.blue() > 200 and color.red() < 80]
    left, right = blue[0], blue[-1]
    white = [x for x in range(left, right) if min(line[x].red(), line[x].green()) > 200]
    np.testing.assert_allclose(white[0], left + 0.25 * (right - left), atol=4)
    np.testing.assert_allclose(white[-1], left + 0.75 * (right - left), atol=4)


def test_predictions_have_intervals_and_say_what_they_are(tile_result, prediction) -> None:
    heading, luad, lusc = prediction_bars(tile_result(predictions=(prediction,)))
    assert (heading.name, heading.text) == ("subtype", "LUSC")
    assert (luad.low, luad.high) == (0.1, 0.5)
    assert (lusc.low, lusc.high) == (0.5, 0.9)
    assert "0.70, interval 0.50 to 0.90" in lusc.hint
    assert "not how often the model is right" in lusc.hint


def test_an_answer_that_changes_with_the_draw_is_no_call(tile_result, prediction) -> None:
    unsure = replace(prediction, stability=0.9)
    heading, *rows = prediction_bars(tile_result(predictions=(unsure,)))
    assert heading.text == "no call"
    assert all(row.is_faint for row in rows)
    assert "90%" in rows[0].hint
    yes_no = TaskPrediction(
        "cancer", ("normal", "cancer"), (0.45, 0.55), "cancer", (0.3, 0.4), (0.6, 0.7), 0.6
    )
    (only,) = prediction_bars(tile_result(predictions=(yes_no,)))
    assert only.text == "0.55, no call"
    assert (only.low, only.high) == (0.4, 0.7)


def test_results_of_older_versions_have_no_interval(tile_result) -> None:
    (only,) = prediction_bars(tile_result())
    assert (only.low, only.high, only.is_faint, only.text) == (None, None, False, "0.80")
