"""The page of a comparison: methods side by side, and the tests of their differences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_dre_slcl.export.figures import difference_plot
from napari_dre_slcl.export.html_page import figures, note, page, section, table
from napari_dre_slcl.export.wording import (
    METRIC_WORDS,
    TEST_WORDS,
    difference_text,
    folds_sentence,
    interval_text,
    p_text,
    seconds_text,
    spread_text,
)

__all__ = ["comparison_page"]


def comparison_page(found: Mapping[str, Any]) -> str:
    """Return the page of a comparison, a whole HTML document without script or links.

    Parameters
    ----------
    found : mapping
        What ``compare.json`` holds.
    """
    names = ", ".join(run["name"] for run in found["runs"])
    return page(
        f"Comparison of {names}",
        [
            table(("What", "Value"), _about(found)),
            *(note(sentence) for sentence in found["notes"]),
            *(_task(name, task) for name, task in found["tasks"].items()),
            note(
                "Three paired tests of the AUC. Over folds: t-test, corrected for the training "
                "slides that folds share (Nadeau and Bengio 2003). Over patients: both methods on "
                "the same draws of patients. DeLong: fold by fold, for two classes and folds that "
                "test different patients. A positive difference speaks for the first."
            ),
        ],
    )


def _about(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [("Cohort", found["cohort"]["table"]), ("Folds", folds_sentence(found["folds"]))]
    for run in found["runs"]:
        cost = run["cost"]
        words = (
            f"{run['method']}, preset {run['preset']}; {cost['parameters']:,} parameters; "
            f"{seconds_text(cost['seconds']['mean'])} per training and test"
        )
        rows.append((run["name"], words))
    return rows


def _task(name: str, task: Mapping[str, Any]) -> str:
    scores = [
        (
            run,
            *(spread_text(of_run[metric]) for metric in METRIC_WORDS),
            interval_text(task["intervals"][run]["auc"]),
        )
        for run, of_run in task["scores"].items()
    ]
    header = ("Run", *METRIC_WORDS.values(), "AUC, 95 % interval")
    tests = [
        (
            f"{pair['a']} minus {pair['b']}",
            words,
            difference_text(pair[key]),
            p_text(pair[key]["p"]),
        )
        for pair in task["pairs"]
        for key, words in TEST_WORDS.items()
        if pair[key] is not None
    ]
    pairs = [pair for pair in task["pairs"] if pair["bootstrap"] is not None]
    plot = difference_plot(
        f"{name}: {task['pairs'][0]['a']} minus the others",
        [pair["bootstrap"] for pair in pairs],
        [pair["b"] for pair in pairs],
    )
    columns = ("Difference", "Test", "AUC, 95 % interval", "p")
    return section(name, [table(header, scores), table(columns, tests), figures([plot])])
