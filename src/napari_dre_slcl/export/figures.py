"""The plots of an evaluation: ROC, reliability, abstention, and the scores of its folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_dre_slcl.export.svg_marks import COLORS, GREY, Axes, Band, Dots, Line, Mark
from napari_dre_slcl.export.svg_plots import draw_plot

__all__ = ["abstention_plot", "difference_plot", "fold_plot", "reliability_plot", "roc_plot"]

_ROW_PX = 22
_ABOVE_ROWS_PX = 78
_MOST_CURVES = len(COLORS)


def roc_plot(curves: Sequence[Mapping[str, Any]]) -> str:
    """Return the mean ROC curve over folds with its spread, one per class asked for."""
    if not curves:
        return ""
    marks: list[Mark] = [Line((0, 1), (0, 1), "chance", GREY, "4 4")]
    for color, curve in zip(COLORS, curves, strict=False):
        x = curve["false_positive_rate"]
        if len(curves) == 1:
            marks.append(Band(x, curve["low"], curve["high"], "± standard deviation", color))
        label = f"class {curve['class']}, mean over folds and seeds"
        marks.append(Line(x, curve["true_positive_rate"], label, color))
    return draw_plot(Axes("ROC", "False positive rate", "True positive rate"), marks)


def reliability_plot(calibration: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Return what was said against what came true, before and after temperature scaling."""
    if calibration["before"]["ece"] is None:
        return ""
    marks: list[Mark] = [Line((0, 1), (0, 1), "perfect", GREY, "4 4")]
    kinds = (("before", "as predicted", COLORS[1]), ("after", "with temperature", COLORS[0]))
    for key, words, color in kinds:
        curve = calibration[key]
        if curve is not None:
            names = [f"{count:,} slides" for count in curve["count"]]
            marks.append(Line(curve["said"], curve["true"], "", color))
            label = f"{words}, ECE {curve['ece']:.3f}"
            marks.append(Dots(curve["said"], curve["true"], names, label, color))
    said = (
        f"Probability of class {classes[1]}" if len(classes) == 2 else "Probability of the answer"
    )
    return draw_plot(Axes("Reliability", said, "Share that came true"), marks)


def abstention_plot(curve: Mapping[str, Any] | None) -> str:
    """Return accuracy over the share of slides that a model answers."""
    if curve is None:
        return ""
    lowest = min(0.95, min(curve["accuracy"]) - 0.02)
    axes = Axes(
        "Abstention",
        "Share of slides answered, the surest first",
        "Accuracy on them",
        y_range=(max(0.0, lowest), 1.0),
    )
    label = f"mean error over all shares {curve['area_over']:.3f}"
    return draw_plot(axes, [Line(curve["coverage"], curve["accuracy"], label)])


def fold_plot(cells: Sequence[Mapping[str, Any]]) -> str:
    """Return the AUC of every cell, one row per fold."""
    known = [cell for cell in cells if cell["auc"] is not None]
    if not known:
        return ""
    folds = list(dict.fromkeys(cell["fold"] for cell in known))
    values = [cell["auc"] for cell in known]
    mean = sum(values) / len(values)
    axes = Axes(
        "Folds",
        "AUC",
        x_range=_around(values),
        rows=folds,
        height_px=_ABOVE_ROWS_PX + _ROW_PX * max(len(folds), 4),
    )
    names = [f"{cell['cell']}: {cell['auc']:.3f} on {cell['n']:,} slides" for cell in known]
    rows = [float(folds.index(cell["fold"])) for cell in known]
    seeds = len({cell["seed"] for cell in known})
    label = f"AUC, {seeds} seeds" if seeds > 1 else "AUC"
    marks: list[Mark] = [
        Line((mean, mean), (-0.5, len(folds) - 0.5), f"mean {mean:.3f}", GREY, "4 4"),
        Dots(values, rows, names, label),
    ]
    return draw_plot(axes, marks)


def difference_plot(
    title: str, differences: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> str:
    """Return differences with their intervals, one row each, and a line at no difference.

    Parameters
    ----------
    title : str
        Above the plot.
    differences : sequence of mapping
        Each with ``difference``, ``low`` and ``high``.
    names : sequence of str
        Of the rows.
    """
    if not differences:
        return ""
    ends = [one[key] for one in differences for key in ("low", "high")]
    axes = Axes(
        title,
        "Difference in AUC",
        x_range=_around([*ends, 0.0]),
        rows=names,
        height_px=_ABOVE_ROWS_PX + _ROW_PX * max(len(names), 3),
    )
    marks: list[Mark] = [Line((0, 0), (-0.5, len(names) - 0.5), "", GREY, "4 4")]
    for row, one in enumerate(differences):
        marks.append(Line((one["low"], one["high"]), (row, row)))
    marks.append(
        Dots(
            [one["difference"] for one in differences],
            [float(row) for row in range(len(differences))],
            [f"{one['difference']:+.3f}" for one in differences],
        )
    )
    return draw_plot(axes, marks)


def _around(values: Sequence[float]) -> tuple[float, float]:
    """Return a range with room around some values."""
    low, high = min(values), max(values)
    room = max(0.05 * (high - low), 0.01)
    return low - room, high + room
