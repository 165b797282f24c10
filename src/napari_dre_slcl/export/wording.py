"""Figures and folds in words, the same on pages and on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "METRIC_WORDS",
    "TEST_WORDS",
    "difference_text",
    "folds_sentence",
    "interval_text",
    "number_text",
    "p_text",
    "percent_text",
    "seconds_text",
    "spread_text",
]

METRIC_WORDS = {
    "auc": "AUC",
    "average_precision": "Average precision",
    "f1": "F1",
    "balanced_accuracy": "Balanced accuracy",
}
TEST_WORDS = {
    "folds": "over folds, corrected t-test",
    "bootstrap": "over patients, bootstrap",
    "delong": "over patients, DeLong",
}
NOTHING = "–"
_SMALLEST_P = 0.001


def number_text(value: float | None, digits: int = 3) -> str:
    """Return a figure, or a dash where there is none."""
    return NOTHING if value is None else f"{value:.{digits}f}"


def spread_text(spread: Mapping[str, Any] | None) -> str:
    """Return ``mean ± std``, without the second where there is one value only."""
    if spread is None:
        return NOTHING
    mean = number_text(spread["mean"])
    return mean if spread["std"] is None else f"{mean} ± {spread['std']:.3f}"


def interval_text(interval: Mapping[str, Any] | None, *, with_estimate: bool = False) -> str:
    """Return ``low to high``, with the estimate before it where asked for."""
    if interval is None:
        return NOTHING
    ends = f"{interval['low']:.3f} to {interval['high']:.3f}"
    return f"{interval['estimate']:.3f} ({ends})" if with_estimate else ends


def difference_text(test: Mapping[str, Any]) -> str:
    """Return a difference with its interval."""
    return f"{test['difference']:+.3f} ({test['low']:+.3f} to {test['high']:+.3f})"


def percent_text(share: float | None) -> str:
    """Return a share in percent."""
    return NOTHING if share is None else f"{100 * share:.0f} %"


def p_text(p: float) -> str:
    """Return a p value; very small ones as a bound."""
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def seconds_text(seconds: float) -> str:
    """Return a time in the unit that fits it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def folds_sentence(folds: Mapping[str, Any]) -> str:
    """Return what the folds are, as a sentence."""
    seeds = len(folds["seeds"])
    kind = {
        "patient": f"{folds['folds']} folds by patient",
        "site": f"{folds['folds']} folds without a site on two sides",
    }.get(folds["kind"], f"{folds['folds']} splits of '{folds['source']}'")
    within = ", ".join(f"{name}={value}" for name, value in folds["within"].items())
    parts = [
        kind,
        f"{seeds} seed{'s' if seeds > 1 else ''}",
        f"validation {percent_text(folds['validation'])} of training patients",
        *([f"only slides with {within}"] if within else []),
    ]
    return "; ".join(parts) + "."
