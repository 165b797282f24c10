"""Runs an evaluation or a comparison in this process and prints its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from napari_dre_slcl.cli.console import output, say, status
from napari_dre_slcl.cli.progress import show_events
from napari_dre_slcl.engine.comparison import compare_evaluations
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.export.wording import (
    METRIC_WORDS,
    TEST_WORDS,
    difference_text,
    folds_sentence,
    interval_text,
    number_text,
    p_text,
    seconds_text,
    spread_text,
)
from napari_dre_slcl.jobs.requests import Requests, obey_signals

if TYPE_CHECKING:
    from napari_dre_slcl.engine.evaluation_request import EvaluationRequest

__all__ = ["compare_and_print", "run_and_print"]


def run_and_print(request: EvaluationRequest) -> bool:
    """Run an evaluation, show its progress, and print its figures.

    Parameters
    ----------
    request : EvaluationRequest
        What to do.

    Returns
    -------
    bool
        False where the user has cancelled it.

    Raises
    ------
    DreSlclError
        If it cannot be done.
    """
    from napari_dre_slcl.engine.evaluation import run_evaluation  # torch; comparing needs none

    requests = Requests()
    try:
        with show_events(as_json=False) as on_event, obey_signals(requests):
            result = run_evaluation(request, Reporter(on_event, requests.should_stop))
    except Stopped:
        status().print(
            "Cancelled. Finished folds are kept: the same command goes on.", soft_wrap=True
        )
        return False
    _print_scores(result.metrics)
    _print_retrieval(result.metrics["retrieval"])
    for name, path in result.paths.items():
        say(f"{name}: {path}")
    return True


def compare_and_print(folders: Sequence[Path], out: Path | None) -> None:
    """Compare evaluations and print their figures and tests.

    Raises
    ------
    ResultError
        If they cannot be compared.
    """
    found = compare_evaluations(folders, out)
    say(folds_sentence(found["folds"]))
    for sentence in found["notes"]:
        status().print(sentence, soft_wrap=True)
    _print_side_by_side(found)
    _print_tests(found)
    if out is not None:
        say(f"comparison: {out / 'compare.json'}")
        say(f"page: {out / 'compare.html'}")


def _print_scores(metrics: Mapping[str, Any]) -> None:
    columns = ("Task", *METRIC_WORDS.values(), "AUC, 95 % interval", "ECE", "ECE scaled")
    table = Table(*columns)
    for name, task in metrics["tasks"].items():
        before, after = task["calibration"]["before"], task["calibration"]["after"]
        table.add_row(
            name,
            *(spread_text(task["scores"][metric]) for metric in METRIC_WORDS),
            interval_text(task["intervals"]["auc"]),
            number_text(before["ece"]),
            number_text(after["ece"] if after else None),
        )
    output().print(table)
    cost = metrics["cost"]
    say(
        f"{metrics['method']}, {cost['parameters']:,} parameters, "
        f"{seconds_text(cost['seconds']['mean'])} per training and test. "
        f"{folds_sentence(metrics['folds'])}"
    )


def _print_retrieval(found: Mapping[str, Any] | None) -> None:
    if not found:
        return
    table = Table("Reports and slides", "Found", "Control", "Gain")
    for row in found["recalls"]:
        ways = f"{row['way']}, among the first {row['k']}"
        table.add_row(ways, *(spread_text(row[name]) for name in ("value", "control", "gain")))
    output().print(table)


def _print_side_by_side(found: Mapping[str, Any]) -> None:
    runs = [run["name"] for run in found["runs"]]
    table = Table("AUC", *runs)
    for name, task in found["tasks"].items():
        table.add_row(name, *(spread_text(task["scores"][run]["auc"]) for run in runs))
    costs = [run["cost"] for run in found["runs"]]
    table.add_row("time", *(seconds_text(cost["seconds"]["mean"]) for cost in costs))
    table.add_row("parameters", *(f"{cost['parameters']:,}" for cost in costs))
    output().print(table)


def _print_tests(found: Mapping[str, Any]) -> None:
    table = Table("Task", "Difference", "Test", "AUC, 95 % interval", "p")
    for name, task in found["tasks"].items():
        for pair in task["pairs"]:
            for key, words in TEST_WORDS.items():
                if pair[key] is not None:
                    who = f"{pair['a']} minus {pair['b']}"
                    test = pair[key]
                    table.add_row(name, who, words, difference_text(test), p_text(test["p"]))
    output().print(table)
