"""Predictions and the legend of codewords as rows of bars. What they say is in `texts`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QColor

from napari_dre_slcl.gui.bars import Bar
from napari_dre_slcl.gui.codeword_style import CodewordStyle
from napari_dre_slcl.gui.texts import (
    interval_hint,
    interval_text,
    prediction_rows,
    share_text,
)
from napari_dre_slcl.results import SlideResult, TaskPrediction

__all__ = ["legend_bars", "prediction_bars"]


def prediction_bars(result: SlideResult) -> list[Bar]:
    """Return a row per class with its interval, under the name of its task; pale without a call."""
    return [bar for prediction in result.predictions for bar in _task_bars(prediction)]


def _task_bars(prediction: TaskPrediction) -> list[Bar]:
    rows = prediction_rows(prediction)
    hint = interval_hint(prediction)
    call = "no call" if prediction.is_uncertain else prediction.predicted
    is_one = len(rows) == 1
    bars = [] if is_one else [Bar(prediction.task, text=call, is_heading=True, hint=hint)]
    for row in rows:
        text = f"{row.value:.2f}"
        bars.append(
            Bar(
                row.name,
                row.value,
                f"{text}, no call" if is_one and prediction.is_uncertain else text,
                low=row.low,
                high=row.high,
                is_faint=prediction.is_uncertain,
                hint=f"{row.name}: {interval_text(row)}\n{hint}".strip(),
            )
        )
    return bars


def legend_bars(shares: NDArray[np.float64], style: CodewordStyle) -> list[Bar]:
    """Return the share of each codeword of a slide, (K,), in the names and colours of the model."""
    if style.n_codewords != len(shares):
        return []
    return [
        Bar(
            style.name(number),
            float(share),
            share_text(share) if is_visible else f"hidden, {share_text(share)}",
            QColor.fromRgbF(*(float(part) for part in color)),
            has_swatch=True,
            is_faint=not is_visible,
            hint=f"{style.name(number)}: {share_text(share)} of the slide's tiles",
        )
        for number, (share, color, is_visible) in enumerate(
            zip(shares, style.colors, style.is_visible, strict=True)
        )
    ]
