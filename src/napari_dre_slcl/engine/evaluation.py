"""An evaluation: one method over folds and seeds, its figures, and a page that shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import write_json, write_text
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.content_hash import content_hashes
from napari_dre_slcl.cohort.left_out import read_left_out, write_left_out
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.disk_full import explain_full_disk
from napari_dre_slcl.engine.evaluation_cells import CELL_FILE, CellJob, cell_reporter, run_cell
from napari_dre_slcl.engine.evaluation_folds import Cell, cells_of, usable_part
from napari_dre_slcl.engine.evaluation_predictions import COLUMNS, cell_predictions, defused
from napari_dre_slcl.engine.evaluation_request import (
    EvaluationRequest,
    claim_folder,
    evaluation_config,
    evaluation_settings,
    settings_hash,
)
from napari_dre_slcl.engine.evaluation_summary import (
    cost_summary,
    retrieval_summary,
    task_summary,
)
from napari_dre_slcl.engine.left_out_slides import count_by_side
from napari_dre_slcl.engine.open_files import allow_many_open_files
from napari_dre_slcl.engine.prepare import PreparedCohort, open_cohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_folder import remove_unfinished, run_lock
from napari_dre_slcl.export.evaluation_page import evaluation_page

__all__ = ["EvaluationResult", "run_evaluation"]

CELLS = "cells"
SPLITS = "splits.csv"
FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """What an evaluation has found and written.

    Parameters
    ----------
    metrics : dict
        What ``metrics.json`` holds.
    paths : dict of Path
        ``metrics``, ``predictions`` and ``page``.
    """

    metrics: dict[str, Any]
    paths: dict[str, Path]


def run_evaluation(request: EvaluationRequest, reporter: Reporter) -> EvaluationResult:
    """Train and test one method on every fold with every seed, and sum it up.

    A cell that is finished is not made again, so that a run that was broken off goes on by the
    same call. More seeds than before add their cells.

    Parameters
    ----------
    request : EvaluationRequest
        What to do.
    reporter : Reporter
        Told the progress; it may stop the evaluation between any two steps.

    Raises
    ------
    DreSlclError
        If the cohort, the folds or a setting cannot be used, something leaks, or the folder holds
        something else.
    Stopped
        If the user stops; finished cells stay.
    """
    config = evaluation_config(request)
    settings = evaluation_settings(request, config)
    allow_many_open_files()
    with (
        closing(_opened(request, config, reporter)) as opened,
        run_lock(request.out, reporter.log) as check,
        reporter.asking(check),
        explain_full_disk(request.out),
    ):
        claim_folder(request.out, settings)
        remove_unfinished(request.out)
        write_left_out(request.out, {name: one.reason for name, one in opened.left_out.items()})
        whole = opened.whole or opened.cohort
        drawn = cells_of(request, whole, config, request.out / SPLITS)
        cells = [usable_part(cell, whole, opened.left_out) for cell in drawn]
        n_kept = sum((request.out / CELLS / c.name / CELL_FILE).is_file() for c in cells)
        if n_kept:
            reporter.log(f"{n_kept:,} of {len(cells):,} cells are finished and are kept.")
        is_left = n_kept < len(cells)
        content = content_hashes(opened.cohort, config.features.folder) if is_left else {}
        job = CellJob(request, config, settings_hash(settings), opened, content)
        records = _run_cells(job, cells, reporter)
        return _sum_up(job, cells, records, settings)


def _opened(
    request: EvaluationRequest, config: DreSlclConfig, reporter: Reporter
) -> PreparedCohort:
    """Open the slides; an evaluation that has finished cells goes on with the very same ones."""
    goes_on = any((request.out / CELLS).glob(f"*/{CELL_FILE}"))
    begun_with = read_left_out(request.out) if goes_on else None
    return open_cohort(request.cohort, config, reporter, begun_with)


def _run_cells(job: CellJob, cells: Sequence[Cell], reporter: Reporter) -> list[dict[str, Any]]:
    records = []
    for number, cell in enumerate(cells):
        reporter.progress("Evaluating", number, len(cells), cell.name)
        folder = job.request.out / CELLS / cell.name
        records.append(
            run_cell(job, cell, folder, cell_reporter(reporter, cell, number, len(cells)))
        )
    reporter.progress("Evaluating", len(cells), len(cells))
    return records


def _sum_up(
    job: CellJob,
    cells: Sequence[Cell],
    records: Sequence[dict[str, Any]],
    settings: dict[str, Any],
) -> EvaluationResult:
    cohort, out = job.opened.cohort, job.request.out
    sites = {row.slide_id: row.site for row in cohort.rows}
    tables = [
        cell_predictions(out / CELLS / cell.name / "predictions.csv", cell.fold, cell.seed, sites)
        for cell in cells
    ]
    predictions = pd.concat([table for table, _ in tables], ignore_index=True)
    metrics: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "method": job.request.method,
        "preset": job.request.preset,
        "cohort": _cohort_facts(cohort, cells, settings),
        "left_out": {name: one.reason for name, one in job.opened.left_out.items()},
        "folds": _fold_facts(job.request, job.config, cells),
        "tasks": {
            str(task): task_summary(predictions, str(task))
            for task in dict.fromkeys(predictions["task"])
        },
        "retrieval": retrieval_summary(records),
        "cost": cost_summary(records),
        "cells": [
            {"name": cell.name, "temperature": temperature}
            | {"left_out": count_by_side(cell.left_out)}
            | {name: record[name] for name in _SHOWN_OF_RECORDS}
            for cell, record, (_, temperature) in zip(cells, records, tables, strict=True)
        ],
        "settings": settings,
    }
    paths = {
        "predictions": out / "predictions.csv",
        "page": out / "evaluation.html",
        "metrics": out / "metrics.json",
    }
    paths["metrics"].unlink(missing_ok=True)  # of fewer seeds: it would not fit the new tables
    write_text(paths["predictions"], _csv_text(predictions))
    write_text(paths["page"], evaluation_page(metrics))
    write_json(paths["metrics"], metrics)  # last: where it is, the others are
    return EvaluationResult(metrics, paths)


_SHOWN_OF_RECORDS = (
    "fold",
    "seed",
    "slides",
    "seconds",
    "parameters",
    "shared_patients",
    "checked",
    "split_sha256",
    "test_sha256",
    "retrieval",
    "skipped",
)


def _cohort_facts(
    cohort: Cohort, cells: Sequence[Cell], settings: dict[str, Any]
) -> dict[str, Any]:
    used = [
        row for number, row in enumerate(cohort.rows) if any(cell.split[number] for cell in cells)
    ]
    return {
        "table": str(cohort.table),
        "sha256": settings["cohort_sha256"],
        "slides": len(used),
        "patients": len({row.patient_id for row in used}),
        "sites": len({row.site for row in used if row.site}),
    }


def _fold_facts(
    request: EvaluationRequest, config: DreSlclConfig, cells: Sequence[Cell]
) -> dict[str, Any]:
    first = config.training.seed
    return {
        "kind": request.folds if request.folds in ("patient", "site") else "files",
        "source": request.folds,
        "folds": len(dict.fromkeys(cell.fold for cell in cells)),
        "seeds": list(range(first, first + request.seeds)),
        "validation": request.validation,
        "within": dict(request.within),
    }


def _csv_text(predictions: pd.DataFrame) -> str:
    text = io.StringIO()
    defused(predictions).to_csv(
        text, columns=list(COLUMNS), index=False, float_format="%.9g", lineterminator="\n"
    )
    return text.getvalue()
