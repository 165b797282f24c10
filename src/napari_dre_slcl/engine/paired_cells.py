"""Paired tests of two methods over the same cells: by folds, by patients, and DeLong's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from scipy.stats import norm

from napari_dre_slcl.engine.evaluation_predictions import TaskCell, mean_over_cells
from napari_dre_slcl.engine.evaluation_summary import fold_metrics, of_known
from napari_dre_slcl.metrics.paired import (
    PairedTest,
    corrected_fold_test,
    delong,
    paired_bootstrap,
)
from napari_dre_slcl.metrics.scores import task_scores

__all__ = ["paired_tests"]

_Z = float(norm.ppf(0.975))


def paired_tests(
    a: Sequence[TaskCell], b: Sequence[TaskCell], cells: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any] | None]:
    """Return the tests of the difference in AUC, a minus b, by name; None where undefined.

    Slides of different cells are never ranked against each other: their models are not on one
    scale.

    Parameters
    ----------
    a, b : sequence of TaskCell
        One task of two methods, the same cells with the same slides in the same order.
    cells : sequence of mapping
        Of ``metrics.json``: name, test_sha256 and slides of each cell.
    """
    slides = mean_over_cells(list(a))
    known, n_slides = np.flatnonzero(slides.truth >= 0), len(slides.truth)
    tests = {
        "folds": _over_folds(a, b, cells),
        "bootstrap": paired_bootstrap(
            of_known(fold_metrics(a, slides.slides)["auc"], known, n_slides),
            of_known(fold_metrics(b, slides.slides)["auc"], known, n_slides),
            slides.patients[known],
        ),
        "delong": _delong(a, b),
    }
    return {name: None if found is None else asdict(found) for name, found in tests.items()}


def _over_folds(
    a: Sequence[TaskCell], b: Sequence[TaskCell], cells: Sequence[Mapping[str, Any]]
) -> PairedTest | None:
    """Compare fold by fold; one that is the same for all seeds counts once, with their mean."""
    tested = {cell["name"]: cell["test_sha256"] for cell in cells}
    figures: dict[str, list[tuple[float, float]]] = {}
    for cell, other in zip(a, b, strict=True):
        figures.setdefault(tested[cell.name], []).append((_auc(cell), _auc(other)))
    means = np.array([np.mean(pairs, axis=0) for pairs in figures.values()])
    n_train = float(np.mean([cell["slides"]["train"] for cell in cells]))
    n_test = float(np.mean([cell["slides"]["test"] for cell in cells]))
    return corrected_fold_test(means[:, 0], means[:, 1], n_train, n_test)


def _delong(a: Sequence[TaskCell], b: Sequence[TaskCell]) -> PairedTest | None:
    """Return DeLong's test fold by fold, put together.

    Folds of one seed test different patients, so their variances add up. Seeds test the same
    ones: the variance of their mean is at most the mean of their variances, which is taken.
    None for more than two classes, and where two folds of a seed test the same patient.
    """
    if len(a[0].classes) != 2:
        return None
    seeds = list(dict.fromkeys(cell.seed for cell in a))
    parts = []
    for seed in seeds:
        pairs = [(x, y) for x, y in zip(a, b, strict=True) if x.seed == seed]
        if _is_repeated([set(x.patients.tolist()) for x, _ in pairs]):
            return None
        part = _of_disjoint_folds(pairs)
        if part is None:
            return None
        parts.append(part)
    first, second, variance = np.mean(parts, axis=0)
    return _normal_test(float(first), float(second), float(variance), a)


def _of_disjoint_folds(
    pairs: Sequence[tuple[TaskCell, TaskCell]],
) -> tuple[float, float, float] | None:
    tests = [
        delong(x.truth, x.probabilities[:, 1], y.probabilities[:, 1], x.patients) for x, y in pairs
    ]
    known = [test for test in tests if test is not None]
    if not known:
        return None
    errors = np.array([(test.high - test.low) / (2 * _Z) for test in known])
    variance = float((errors**2).sum() / len(known) ** 2)
    return (
        float(np.mean([test.a for test in known])),
        float(np.mean([test.b for test in known])),
        variance,
    )


def _normal_test(
    first: float, second: float, variance: float, cells: Sequence[TaskCell]
) -> PairedTest:
    difference, error = first - second, float(np.sqrt(variance))
    if error < 1e-12:
        p = 1.0 if abs(difference) < 1e-12 else 0.0
    else:
        p = float(2 * norm.sf(abs(difference) / error))
    labelled = [cell.patients[cell.truth >= 0].tolist() for cell in cells]
    n_patients = len(set().union(*labelled))
    ends = (difference - _Z * error, difference + _Z * error)
    return PairedTest("DeLong by fold", first, second, difference, *ends, p, n_patients)


def _is_repeated(groups: Sequence[set[str]]) -> bool:
    return sum(map(len, groups)) > len(set().union(*groups))


def _auc(cell: TaskCell) -> float:
    auc = task_scores(cell.truth, cell.probabilities).auc
    return float("nan") if auc is None else auc
