"""What the cells of an evaluation say together: the figures of each task, retrieval and cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from napari_dre_slcl.engine.evaluation_predictions import TaskCell, mean_over_cells, task_cells
from napari_dre_slcl.metrics.bootstrap import bootstrap_interval, patients_by_class
from napari_dre_slcl.metrics.calibration import (
    abstention_curve,
    expected_calibration_error,
    reliability_curve,
)
from napari_dre_slcl.metrics.scores import Spread, spread_of, task_scores
from napari_dre_slcl.metrics.subgroups import scores_by_site
from napari_dre_slcl.metrics.weighted import METRIC_NAMES, Metric, fold_mean, task_metrics

__all__ = [
    "cost_summary",
    "fold_metrics",
    "of_known",
    "retrieval_summary",
    "spread_record",
    "task_summary",
]

_CURVE_POINTS = 101
_WAYS = ("slide_to_report", "report_to_slide")
_FIGURES = ("value", "control", "gain")


def task_summary(frame: pd.DataFrame, task: str) -> dict[str, Any]:
    """Return every figure of one task, ready for JSON.

    Parameters
    ----------
    frame : DataFrame
        Test predictions of all cells.
    task : str
        Name of the task.
    """
    cells = task_cells(frame, task)
    each = [task_scores(cell.truth, cell.probabilities) for cell in cells]
    slides = mean_over_cells(cells)
    is_known = slides.truth >= 0
    return {
        "classes": list(cells[0].classes),
        "slides": int(is_known.sum()),
        "patients": len(set(slides.patients[is_known].tolist())),
        "scores": {
            name: spread_record(spread_of([getattr(scores, name) for scores in each]))
            for name in METRIC_NAMES
        },
        "cells": [
            {"cell": cell.name, "fold": cell.fold, "seed": cell.seed}
            | {name: getattr(scores, name) for name in ("n", *METRIC_NAMES)}
            for cell, scores in zip(cells, each, strict=True)
        ],
        "intervals": _intervals(cells, slides),
        "calibration": _calibration(cells),
        "abstention": _abstention(cells),
        "roc": _roc(cells),
        "sites": _sites(slides),
    }


def fold_metrics(cells: Sequence[TaskCell], slides: NDArray[np.str_]) -> dict[str, Metric]:
    """Return each score as the mean over cells, as a function of the weights of slides.

    Parameters
    ----------
    cells : sequence of TaskCell
        Of one task.
    slides : ndarray
        (n,) sorted, all slides of the cells: what the weights stand for.
    """
    rows = [np.searchsorted(slides, cell.slides) for cell in cells]
    each = [task_metrics(cell.truth, cell.probabilities) for cell in cells]
    return {name: fold_mean([metrics[name] for metrics in each], rows) for name in METRIC_NAMES}


def retrieval_summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return mean and spread over cells of each recall and its control; None without any."""
    found = [record["retrieval"] for record in records if record["retrieval"]]
    if not found:
        return None
    recalls = []
    for way in _WAYS:
        for place, first in enumerate(found[0][way]):
            rows = [one[way][place] for one in found]
            spreads = {
                name: spread_record(spread_of([row[name] for row in rows])) for name in _FIGURES
            }
            recalls.append({"way": way.replace("_", " "), "k": first["k"]} | spreads)
    counts = {
        name: spread_record(spread_of([one[name] for one in found]))
        for name in ("n_slides", "n_reports", "n_patients")
    }
    return {"how": found[0]["how"], "recalls": recalls, "cells": len(found)} | counts


def cost_summary(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what training and testing a cell took."""
    seconds = [float(record["seconds"]) for record in records]
    return {
        "seconds": spread_record(spread_of(seconds)),
        "total_seconds": round(sum(seconds), 3),
        "parameters": max(int(record["parameters"]) for record in records),
    }


def spread_record(spread: Spread | None) -> dict[str, Any] | None:
    """Return a spread as JSON has it."""
    return None if spread is None else asdict(spread)


def _intervals(cells: Sequence[TaskCell], slides: TaskCell) -> dict[str, Any]:
    n_rarest = patients_by_class(slides.truth, slides.patients)
    known = np.flatnonzero(slides.truth >= 0)
    found = {}
    for name, metric in fold_metrics(cells, slides.slides).items():
        interval = bootstrap_interval(
            of_known(metric, known, len(slides.truth)),
            slides.patients[known],
            n_effective=n_rarest,
        )
        found[name] = None if interval is None else asdict(interval)
    return found


def of_known(metric: Metric, known: NDArray[np.int64], n_slides: int) -> Metric:
    """Return the metric of the weights of labelled slides: others are in no resample.

    Parameters
    ----------
    metric : Metric
        Of the weights of all slides.
    known : ndarray
        Numbers of the labelled ones.
    n_slides : int
        All.
    """

    def of_labelled(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        wide = np.zeros((len(weights), n_slides))
        wide[:, known] = weights
        return metric(wide)

    return of_labelled


def _calibration(cells: Sequence[TaskCell]) -> dict[str, Any]:
    truth = np.concatenate([cell.truth for cell in cells])
    before = _reliability(truth, np.concatenate([cell.probabilities for cell in cells]))
    scaled = [cell.scaled for cell in cells if cell.scaled is not None]
    after = None
    if len(scaled) == len(cells):
        after = _reliability(truth, np.concatenate(scaled))
    return {"before": before, "after": after}


def _reliability(truth: NDArray[np.int64], values: NDArray[np.float64]) -> dict[str, Any]:
    curve = asdict(reliability_curve(truth, values))
    return {"ece": expected_calibration_error(truth, values)} | {
        name: _rounded(numbers) for name, numbers in curve.items()
    }


def _abstention(cells: Sequence[TaskCell]) -> dict[str, Any] | None:
    """Return the curve of all cells' answers together, with scaled probabilities where known."""
    truth = np.concatenate([cell.truth for cell in cells])
    values = [cell.probabilities if cell.scaled is None else cell.scaled for cell in cells]
    curve = abstention_curve(truth, np.concatenate(values))
    if curve is None:
        return None
    return {
        "coverage": _rounded(curve.coverage),
        "accuracy": _rounded(curve.accuracy),
        "threshold": _rounded(curve.threshold),
        "area_over": curve.area_over,
    }


def _roc(cells: Sequence[TaskCell]) -> list[dict[str, Any]]:
    """Return for each class asked for the mean ROC curve over cells, at fixed false positives."""
    classes = cells[0].classes
    at = np.linspace(0, 1, _CURVE_POINTS)
    found = []
    for number in [1] if len(classes) == 2 else range(len(classes)):
        curves = []
        for cell in cells:
            known = cell.truth >= 0
            is_class = cell.truth[known] == number
            if 0 < is_class.sum() < len(is_class):
                fpr, tpr, _ = roc_curve(is_class, cell.probabilities[known, number])
                curves.append(np.interp(at, fpr, tpr))
        if curves:
            mean, std = np.mean(curves, axis=0), np.std(curves, axis=0)
            found.append(
                {
                    "class": classes[number],
                    "false_positive_rate": _rounded(at),
                    "true_positive_rate": _rounded(mean),
                    "low": _rounded(np.clip(mean - std, 0, 1)),
                    "high": _rounded(np.clip(mean + std, 0, 1)),
                }
            )
    return found


def _sites(slides: TaskCell) -> list[dict[str, Any]]:
    """Return the scores of each site, of slides with their mean probability over the cells."""
    if not any(slides.sites):
        return []
    table = scores_by_site(slides.truth, slides.probabilities, slides.sites, slides.patients)
    return [asdict(row) for row in table]


def _rounded(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 5) for value in values]
