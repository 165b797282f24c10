"""Evaluations side by side: the first against each other one, on the same folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from napari_dre_slcl.atomic_file import write_json, write_text
from napari_dre_slcl.engine.evaluation_predictions import (
    TaskCell,
    read_predictions,
    task_cells,
)
from napari_dre_slcl.engine.paired_cells import paired_tests
from napari_dre_slcl.errors import ResultError
from napari_dre_slcl.export.comparison_page import comparison_page
from napari_dre_slcl.untrusted import read_json

__all__ = ["compare_evaluations"]

_METRICS = "metrics.json"
_FORMAT = 1
_KEYS = {
    "tasks": dict,
    "cells": list,
    "cohort": dict,
    "folds": dict,
    "cost": dict,
    "method": str,
    "preset": str,
    "version": str,
}
_TASK_KEYS = frozenset({"scores", "intervals"})
_CELL_KEYS = frozenset({"name", "test_sha256", "split_sha256", "slides"})


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    """One evaluation as its folder holds it."""

    folder: Path
    name: str
    metrics: Mapping[str, Any]
    predictions: pd.DataFrame


def compare_evaluations(folders: Sequence[Path], out: Path | None = None) -> dict[str, Any]:
    """Put evaluations side by side, with paired tests of the first against each other one.

    Three tests, of the AUC: a t-test over folds that is corrected for their shared training
    slides, a bootstrap over patients, and, for two classes and folds that test different patients,
    DeLong's. A positive difference speaks for the first.

    Parameters
    ----------
    folders : sequence of Path
        Folders that ``dre-slcl evaluate`` has made, two or more.
    out : Path, optional
        Folder to write ``compare.json`` and ``compare.html`` to.

    Returns
    -------
    dict
        What ``compare.json`` holds.

    Raises
    ------
    ResultError
        If a folder is no finished evaluation or is named twice, the folds are not the same, or
        ``out`` cannot be written.
    """
    if len(folders) < 2:
        raise ResultError("A comparison needs two evaluations or more. Name another folder.")
    _check_different(folders)
    runs = [_open(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]
    for run in runs[1:]:
        _check_same_tests(runs[0], run)
    tasks = [
        name for name in runs[0].metrics["tasks"] if all(name in r.metrics["tasks"] for r in runs)
    ]
    if not tasks:
        raise ResultError(
            f"The evaluations have no task in common: '{runs[0].folder}' has "
            f"{_listed(runs[0].metrics['tasks'])}, '{runs[1].folder}' has "
            f"{_listed(runs[1].metrics['tasks'])}. Compare evaluations of the same tasks."
        )
    found: dict[str, Any] = {
        "format": _FORMAT,
        "runs": [_facts(run) for run in runs],
        "cohort": runs[0].metrics["cohort"],
        "folds": runs[0].metrics["folds"],
        "notes": _notes(runs),
        "tasks": {task: _task(runs, task) for task in tasks},
    }
    if out is not None:
        try:
            write_json(out / "compare.json", found)
            write_text(out / "compare.html", comparison_page(found))
        except OSError as error:
            raise ResultError(f"The folder '{out}' cannot be written: {error.strerror}.") from error
    return found


def _check_different(folders: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for folder in folders:
        if folder.resolve() in seen:
            raise ResultError(f"'{folder}' is named twice. Compare different evaluations.")
        seen.add(folder.resolve())


def _open(folder: Path, name: str) -> _Run:
    path = folder / _METRICS
    if not path.is_file():
        begun = (
            " It was begun and is not finished." if (folder / "evaluation.json").exists() else ""
        )
        raise ResultError(
            f"'{folder}' holds no finished evaluation: it has no {_METRICS}.{begun} "
            "Run 'dre-slcl evaluate' first."
        )
    try:
        metrics = read_json(path)
    except (OSError, ValueError) as error:
        raise ResultError(f"'{path}' cannot be read: {error}.") from error
    if not _is_whole(metrics):
        raise ResultError(f"'{folder}' is no folder of an evaluation. Compare those of 'evaluate'.")
    return _Run(folder, name, metrics, read_predictions(folder / "predictions.csv"))


def _is_whole(metrics: Any) -> bool:
    """Return whether what a comparison looks at is there, as `evaluate` writes it."""
    if not isinstance(metrics, dict) or not _KEYS.items() <= _kinds(metrics).items():
        return False
    tasks, cells = metrics["tasks"].values(), metrics["cells"]
    return (
        "sha256" in metrics["cohort"]
        and all(isinstance(task, dict) and task.keys() >= _TASK_KEYS for task in tasks)
        and bool(cells)
        and all(isinstance(cell, dict) and cell.keys() >= _CELL_KEYS for cell in cells)
    )


def _kinds(values: Mapping[str, Any]) -> dict[str, type]:
    return {name: type(value) for name, value in values.items()}


def _names(folders: Sequence[Path]) -> list[str]:
    """Return the folders' own names, or their paths where two are called alike."""
    names = [folder.resolve().name for folder in folders]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _check_same_tests(first: _Run, other: _Run) -> None:
    pair = f"'{first.folder}' and '{other.folder}'"
    if first.metrics["cohort"]["sha256"] != other.metrics["cohort"]["sha256"]:
        raise ResultError(
            f"{pair} are evaluations on different cohort tables, so they cannot be compared. "
            "Evaluate both on the same table."
        )
    tested = [
        {cell["name"]: cell["test_sha256"] for cell in run.metrics["cells"]}
        for run in (first, other)
    ]
    if tested[0] != tested[1]:
        differing = sorted(
            name for name in tested[0] | tested[1] if tested[0].get(name) != tested[1].get(name)
        )
        raise ResultError(
            f"{pair} do not test the same slides in the same folds: {len(differing)} folds differ, "
            f"the first is '{differing[0]}'. Evaluate both with the same --folds, --seeds, "
            "--n-folds, --tasks and --within."
        )


def _notes(runs: Sequence[_Run]) -> list[str]:
    """Return what is not alike in what was trained on."""
    first = {cell["name"]: cell["split_sha256"] for cell in runs[0].metrics["cells"]}
    return [
        f"'{run.name}' trains on other slides than '{runs[0].name}' in the same folds, as by "
        "another --validation; both are tested on the same ones."
        for run in runs[1:]
        if first != {cell["name"]: cell["split_sha256"] for cell in run.metrics["cells"]}
    ]


def _facts(run: _Run) -> dict[str, Any]:
    kept = ("method", "preset", "version", "cost")
    return {"name": run.name, "folder": str(run.folder)} | {k: run.metrics[k] for k in kept}


def _task(runs: Sequence[_Run], task: str) -> dict[str, Any]:
    cells = [task_cells(run.predictions, task) for run in runs]
    return {
        "scores": {run.name: run.metrics["tasks"][task]["scores"] for run in runs},
        "intervals": {run.name: run.metrics["tasks"][task]["intervals"] for run in runs},
        "pairs": [
            {"a": runs[0].name, "b": run.name} | _tests(runs[0], cells[0], run, others, task)
            for run, others in zip(runs[1:], cells[1:], strict=True)
        ],
    }


def _tests(
    first: _Run, a: list[TaskCell], second: _Run, b: list[TaskCell], task: str
) -> dict[str, Any]:
    if [cell.slides.tolist() for cell in a] != [cell.slides.tolist() for cell in b]:
        raise ResultError(
            f"'{first.folder}' and '{second.folder}' have predictions of different slides for "
            f"'{task}', as some could not be read. Evaluate both again with all slides."
        )
    return dict(paired_tests(a, b, first.metrics["cells"]))


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(f"'{name}'" for name in names)
