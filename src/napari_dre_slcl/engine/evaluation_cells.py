"""One cell of an evaluation: a run folder as training makes it, and a record of what it took."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.leakage import LeakageReport, check_leakage, without_test_reports
from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.engine.evaluation_folds import Cell, split_sha256, test_sha256
from napari_dre_slcl.engine.evaluation_request import EvaluationRequest
from napari_dre_slcl.engine.prepare import PreparedCohort, with_split
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.retrieval import retrieval_of_run
from napari_dre_slcl.engine.train import train_prepared
from napari_dre_slcl.errors import CohortError, DreSlclError, JobError
from napari_dre_slcl.jobs.messages import Event, Log, Progress, TrainJob
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.untrusted import read_json

__all__ = ["CELL_FILE", "CellJob", "cell_reporter", "run_cell"]

CELL_FILE = "cell.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True, eq=False)
class CellJob:
    """What all cells of an evaluation share.

    Parameters
    ----------
    request : EvaluationRequest
        What was asked for.
    config : DreSlclConfig
        Settings of the first cell.
    settings_sha256 : str
        Of the evaluation.
    opened : PreparedCohort
        All slides that can be used, opened once.
    content : mapping of str
        Hash of what is in a slide by slide_id, for the leakage guard.
    """

    request: EvaluationRequest
    config: DreSlclConfig
    settings_sha256: str
    opened: PreparedCohort
    content: Mapping[str, str]


def run_cell(job: CellJob, cell: Cell, folder: Path, reporter: Reporter) -> dict[str, Any]:
    """Train and test one cell, unless it is there already.

    Parameters
    ----------
    job : CellJob
        What all cells share.
    cell : Cell
        Fold, seed and split, over the slides that are open.
    folder : Path
        Of the cell. What a process that was killed has left of it is made anew.
    reporter : Reporter
        Of the cell, see `cell_reporter`.

    Returns
    -------
    dict
        What ``cell.json`` holds, the last file that is written.

    Raises
    ------
    DreSlclError
        If the cell leaks or cannot be trained; its name is in the sentence.
    JobError
        If the folder holds a finished cell of another split.
    """
    cohort = job.opened.cohort
    # Published splits have slides of test patients in training, and a report is the patient's.
    trainable = without_test_reports(cohort, cell.split)
    key = {
        "settings_sha256": job.settings_sha256,
        "split_sha256": split_sha256(cohort, cell),
    }
    record = _finished(folder, key)
    if record is not None:
        return record
    shutil.rmtree(folder, ignore_errors=True)
    try:
        opened = replace(job.opened, cohort=trainable, left_out=cell.left_out)
        found = _train_and_test(opened, job, cell, folder, reporter)
    except DreSlclError as error:
        raise type(error)(f"Fold '{cell.fold}', seed {cell.seed}: {error}") from error
    record = key | {
        "format": _FORMAT,
        "fold": cell.fold,
        "seed": cell.seed,
        "test_sha256": test_sha256(cohort, cell),
        "slides": {side: int((cell.split == side).sum()) for side in ("train", "val", "test")},
    }
    write_json(folder / CELL_FILE, record | found)
    return record | found


def _train_and_test(
    opened: PreparedCohort, job: CellJob, cell: Cell, folder: Path, reporter: Reporter
) -> dict[str, Any]:
    """Make the run folder of a cell; return what it took and what was found."""
    _check_leakage(job, opened.cohort, cell, {})  # before an hour is spent on it
    config = with_overrides(job.config, {"training.seed": cell.seed})
    prepared = with_split(opened, cell.split, config, reporter)
    started = time.perf_counter()
    train_job = TrainJob(
        cohort=job.request.cohort,
        run_dir=folder,
        preset=job.request.preset,
        overrides={**job.request.overrides, "method": config.method},
    )
    result = train_prepared(train_job, config, prepared, folder, reporter)
    seconds = time.perf_counter() - started
    leaks = _check_leakage(job, opened.cohort, cell, _fitted(folder))
    bundle = load_bundle(folder / "model")
    return {
        "seconds": round(seconds, 3),
        "checked": list(leaks.checked),
        "parameters": sum(part.numel() for part in bundle.net.parameters()),
        "skipped": result.skipped,
        "shared_patients": len(leaks.shared_patients),
        "retrieval": _retrieval(bundle, prepared, reporter, folder),
    }


def cell_reporter(reporter: Reporter, cell: Cell, number: int, total: int) -> Reporter:
    """Return a reporter that tells of a cell as one step of the whole; warnings go on, once each.

    Parameters
    ----------
    reporter : Reporter
        Of the evaluation; it notices the wish to stop.
    cell : Cell
        Which one.
    number, total : int
        Cells done, and all.
    """

    def pass_on(event: Event) -> None:
        if isinstance(event, Progress):
            step = f"{cell.name}: {event.stage} {event.done:,}/{event.total:,}"
            reporter.progress("Evaluating", number, total, step)
        elif isinstance(event, Log) and event.level == "warning":
            reporter.warn_once(event.message)

    return Reporter(pass_on, lambda: False)


def _finished(folder: Path, key: Mapping[str, str]) -> dict[str, Any] | None:
    path = folder / CELL_FILE
    if not path.is_file():
        return None
    try:
        record = read_json(path)
    except (OSError, ValueError) as error:
        raise JobError(
            f"'{path}' cannot be read: {error}. Delete the folder '{folder}' to make it anew."
        ) from error
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise JobError(f"'{path}' is of another version. Choose another --out.")
    if {name: record.get(name) for name in key} != dict(key):
        raise JobError(
            f"'{folder}' was made with another split or other settings than it would be now. "
            "Choose another --out, or delete the folder to make it anew."
        )
    return record


def _check_leakage(
    job: CellJob, cohort: Cohort, cell: Cell, fitted: Mapping[str, list[str]]
) -> LeakageReport:
    return check_leakage(
        cohort,
        cell.split,
        content=job.content,
        fitted=fitted,
        allow_shared_patients=job.request.allow_shared_patients,
    )


def _fitted(folder: Path) -> dict[str, list[str]]:
    """Return which slides each part of a run was fitted on, as the run has written it down."""
    found: dict[str, list[str]] = read_json(folder / "fitted.json")
    return found


def _retrieval(
    bundle: Bundle, prepared: PreparedCohort, reporter: Reporter, folder: Path
) -> dict[str, Any] | None:
    rows = prepared.cohort.rows
    with_report = [row for row in prepared.rows("test") if rows[row].report]
    if not with_report or not any(rows[row].report for row in prepared.rows("train")):
        return None
    try:
        return retrieval_of_run(bundle, prepared, reporter, folder / "vectors.npz")
    except CohortError as error:
        reporter.log(f"Reports are not looked for by slides: {error}", "warning")
        return None
