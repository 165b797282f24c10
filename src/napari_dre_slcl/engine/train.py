"""The training job: cohort in, run folder with a model and its held-out metrics out."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import Any

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.allocator import keep_freed_memory
from napari_dre_slcl.engine.evaluate import task_aucs, write_predictions
from napari_dre_slcl.engine.fit import fit, make_method
from napari_dre_slcl.engine.open_files import allow_many_open_files
from napari_dre_slcl.engine.predict import result_path
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.prepare import PreparedCohort, prepare_cohort
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.engine.run_folder import check_run_dir, create_run_dir
from napari_dre_slcl.jobs.messages import Cancelled, Result, TrainJob
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.results import SlideResult, save_result

__all__ = ["run_train"]


def run_train(job: TrainJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Train on a cohort, save the model, and evaluate it on held-out patients.

    Parameters
    ----------
    job : TrainJob
        Cohort table, run folder, preset and changed settings.
    on_event : callable
        Gets Progress, Metric and Log events.
    should_stop : callable
        True once the user wants the job to end.

    Returns
    -------
    Result or Cancelled
        ``Result.paths`` names the run, model, metrics and predictions; ``Result.metrics`` has
        ``test/auc/<task>``.

    Raises
    ------
    DreSlclError
        If anything about the cohort or the settings is wrong; no run folder is made then.
    """
    reporter = Reporter(on_event, should_stop)
    config = with_overrides(load_preset(job.preset), job.overrides)
    check_run_dir(job.run_dir)
    allow_many_open_files()
    try:
        with closing(prepare_cohort(job.cohort, config, reporter)) as prepared:
            method = make_method(config, prepared)
            if method.device.type == "cpu":
                keep_freed_memory()
            create_run_dir(job, config)
            return _train_and_test(job, config, method, prepared, reporter)
    except Stopped:
        return Cancelled()


def _train_and_test(
    job: TrainJob,
    config: DreSlclConfig,
    method: DreSlcl,
    prepared: PreparedCohort,
    reporter: Reporter,
) -> Result:
    def validate(net: DreSlclNet) -> dict[str, float]:
        bundle = Bundle(net, config, prepared.tasks, prepared.reports.shape[1])
        results = _predict_rows(bundle, prepared, prepared.rows("val"), reporter, "Validating")
        return _named("val", task_aucs(prepared.cohort, results))

    net = fit(config, method, prepared, reporter, validate if prepared.rows("val") else None)
    trained = Bundle(net, config, prepared.tasks, prepared.reports.shape[1])
    save_bundle(trained, job.run_dir / "model", _facts(prepared))
    # Predict with what was written, as everyone else will.
    saved = load_bundle(job.run_dir / "model")
    saved.net.to(net.codewords.device)
    test = prepared.rows("test")
    results = _predict_rows(saved, prepared, test, reporter, "Predicting held-out slides")
    for row, result in results.items():
        slide_id = prepared.cohort.rows[row].slide_id
        save_result(result, result_path(job.run_dir / "results", slide_id))
    aucs = task_aucs(prepared.cohort, results)
    for task in prepared.tasks:
        if test and task.name not in aucs:
            reporter.log(f"'{task.name}' has one class only among the held-out slides.", "warning")
    metrics = _named("test", aucs)
    write_json(job.run_dir / "metrics.json", metrics | {"test/slides": len(test)})
    split = prepared.split.tolist()
    write_predictions(job.run_dir / "predictions.csv", prepared.cohort, split, results)
    paths = {
        "run": job.run_dir,
        "model": job.run_dir / "model",
        "metrics": job.run_dir / "metrics.json",
        "predictions": job.run_dir / "predictions.csv",
    }
    return Result(kind="train", paths=paths, metrics=metrics)


def _predict_rows(
    bundle: Bundle, prepared: PreparedCohort, rows: list[int], reporter: Reporter, stage: str
) -> dict[int, SlideResult]:
    results = {}
    for number, row in enumerate(rows):
        slide_id = prepared.cohort.rows[row].slide_id
        reporter.progress(stage, number, len(rows), slide_id)
        results[row] = predict_source(bundle, prepared.sources[row], slide_id, keep_features=False)
        reporter.warn_once(results[row].provenance.get("damaged", ""))
    reporter.progress(stage, len(rows), len(rows))
    return results


def _named(split: str, aucs: dict[str, float]) -> dict[str, float]:
    return {f"{split}/auc/{task}": value for task, value in aucs.items()}


def _facts(prepared: PreparedCohort) -> dict[str, Any]:
    rows = prepared.rows("train")
    return {
        "training_slides": len(rows),
        "training_patients": len(set(prepared.cohort.patients()[rows])),
        "training_tiles": sum(len(prepared.sources[row].grid) for row in rows),
        "cohort_sha256": hashlib.sha256(prepared.cohort.table.read_bytes()).hexdigest(),
    }
