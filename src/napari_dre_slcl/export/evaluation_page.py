"""The page of an evaluation: what ``metrics.json`` holds, as tables and plots in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_dre_slcl.export.figures import (
    abstention_plot,
    fold_plot,
    reliability_plot,
    roc_plot,
)
from napari_dre_slcl.export.html_page import figures, note, page, section, table
from napari_dre_slcl.export.wording import (
    METRIC_WORDS,
    folds_sentence,
    interval_text,
    number_text,
    percent_text,
    seconds_text,
    spread_text,
)

__all__ = ["evaluation_page"]

_TOO_FEW = "too few"
_SHOWN_NAMES = 10


def evaluation_page(metrics: Mapping[str, Any]) -> str:
    """Return the page of one evaluation, a whole HTML document without script or links.

    Parameters
    ----------
    metrics : mapping
        What ``metrics.json`` holds.
    """
    return page(
        f"Evaluation of {metrics['method']}",
        [
            _about(metrics),
            section("Held-out figures", [_scores(metrics)]),
            *(_task(name, task) for name, task in metrics["tasks"].items()),
            _retrieval(metrics["retrieval"]),
            section("Cells", [_cells(metrics)]),
            section("Settings", [_settings(metrics["settings"])]),
        ],
    )


def _about(metrics: Mapping[str, Any]) -> str:
    cohort, folds, cost = metrics["cohort"], metrics["folds"], metrics["cost"]
    checked = metrics["cells"][0]["checked"]
    shared = [cell["shared_patients"] for cell in metrics["cells"]]
    leaks = (
        f"None found. Looked at: {', '.join(checked)}."
        if not any(shared)
        else f"Patients on both sides, as the splits were published: {min(shared)} to "
        f"{max(shared)} per fold. Nothing else found; looked at: {', '.join(checked)}."
    )
    rows = [
        ("Cohort", cohort["table"]),
        (
            "Slides, patients, sites",
            f"{cohort['slides']:,}, {cohort['patients']:,}, {cohort['sites']:,}",
        ),
        ("Folds", folds_sentence(folds)),
        ("Method and preset", f"{metrics['method']}, {metrics['preset']}"),
        ("Parameters", f"{cost['parameters']:,}"),
        ("Time of a training with its test", seconds_text(cost["seconds"]["mean"])),
        (f"Time of all {len(metrics['cells'])}", seconds_text(cost["total_seconds"])),
        ("Slides left out", _left_out(metrics)),
        ("Leaks", leaks),
        ("Version", metrics["version"]),
    ]
    return table(("What", "Value"), rows)


def _left_out(metrics: Mapping[str, Any]) -> str:
    """Return how many slides are in no figure because they cannot be used, and which."""
    names = list(metrics.get("left_out", {}))
    if not names:
        return "None"
    tested = sum(cell["left_out"]["test"] for cell in metrics["cells"])
    rest = len(names) - _SHOWN_NAMES
    more = f" and {rest:,} more" if rest > 0 else ""
    return (
        f"{len(names):,}, which cannot be opened or hold no tissue: "
        f"{', '.join(names[:_SHOWN_NAMES])}{more}. In all tests together {tested:,} are missing. "
        "left-out.csv gives the reasons."
    )


def _scores(metrics: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{task['slides']:,}",
            *(spread_text(task["scores"][metric]) for metric in METRIC_WORDS),
            interval_text(task["intervals"]["auc"]),
        )
        for name, task in metrics["tasks"].items()
    ]
    header = ("Task", "Slides", *METRIC_WORDS.values(), "AUC, 95 % interval")
    return table(header, rows) + note(
        "Mean ± standard deviation over folds and seeds. The interval is that of the mean, over "
        "patients (bootstrap). Of two classes AUC, average precision and F1 ask for the second; "
        "of more, they are means of one class against the rest."
    )


def _task(name: str, task: Mapping[str, Any]) -> str:
    calibration = task["calibration"]
    plots = [
        roc_plot(task["roc"]),
        reliability_plot(calibration, task["classes"]),
        abstention_plot(task["abstention"]),
        fold_plot(task["cells"]),
    ]
    return section(name, [figures(plots), _calibration(calibration), _sites(task)])


def _calibration(calibration: Mapping[str, Any]) -> str:
    before, after = calibration["before"]["ece"], calibration["after"]
    if before is None:
        return ""
    if after is None:
        return note(
            f"Calibration error (ECE) {before:.3f}. No validation slides, so no temperature."
        )
    return note(
        f"Calibration error (ECE) {before:.3f} as predicted, {after['ece']:.3f} after the "
        "temperature that was fitted on the validation slides of each cell."
    )


def _sites(task: Mapping[str, Any]) -> str:
    rows = [
        (
            site["site"] or "unknown",
            f"{site['n_slides']:,}",
            f"{site['n_patients']:,}",
            " / ".join(str(count) for count in site["patients_by_class"]),
            percent_text(site["accuracy"]),
            site["note"] or interval_text(site["auc"], with_estimate=True),
        )
        for site in task["sites"]
    ]
    header = ("Site", "Slides", "Patients", "Patients by class", "Right answers", "AUC")
    classes = " / ".join(task["classes"])
    caption = f"By site; classes in the order {classes}. Each slide with its mean probability."
    body = table(header, rows, caption)
    if any(site["note"] == _TOO_FEW for site in task["sites"]):
        body += note("Too few: fewer than five patients of a class, so that a score says nothing.")
    return body


def _retrieval(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    rows = [
        (row["way"], f"{row['k']}", *(spread_text(row[n]) for n in ("value", "control", "gain")))
        for row in found["recalls"]
    ]
    header = ("Way", "Among the first", "Found", "Control", "Gain")
    caption = f"{found['n_reports']['mean']:.0f} test reports of {found['n_patients']['mean']:.0f} "
    caption += f"patients per fold, on average; slides go into report space by {found['how']}."
    return section(
        "Reports and slides",
        [
            table(header, rows, caption),
            note(
                "Share of queries whose own report or slide is among the first. In the control "
                "reports are shuffled within each site, so it tells what the hospital gives away; "
                "the gain over it is the figure that counts."
            ),
        ],
    )


def _cells(metrics: Mapping[str, Any]) -> str:
    tasks = metrics["tasks"]
    aucs = {
        name: {cell["cell"]: cell["auc"] for cell in task["cells"]} for name, task in tasks.items()
    }
    rows = [
        (
            cell["name"],
            " / ".join(f"{cell['slides'][side]:,}" for side in ("train", "val", "test")),
            *(number_text(aucs[name].get(cell["name"])) for name in tasks),
            *(number_text(cell["temperature"].get(name), 2) for name in tasks),
            str(cell["shared_patients"]),
            seconds_text(cell["seconds"]),
        )
        for cell in metrics["cells"]
    ]
    header = (
        "Fold and seed",
        "Train / val / test slides",
        *(f"AUC {name}" for name in tasks),
        *(f"Temperature {name}" for name in tasks),
        "Shared patients",
        "Time",
    )
    return table(header, rows)


def _settings(settings: Mapping[str, Any]) -> str:
    rows = [(name, _value(value)) for name, value in settings.items()]
    inner = table(("Setting", "Value"), rows)
    return f"<details><summary>All {len(rows)} settings</summary>\n{inner}\n</details>"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={part}" for name, part in value.items()) or "none"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(part) for part in value) or "none"
    return "none" if value in (None, "") else str(value)
