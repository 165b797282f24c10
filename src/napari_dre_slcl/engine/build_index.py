"""Makes a cohort searchable: predicts every slide, then writes the index of tiles and slides."""

from __future__ import annotations

from dataclasses import replace

from napari_dre_slcl.allocator import keep_freed_memory
from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.pseudonyms import numbered_patients
from napari_dre_slcl.cohort.shared_labels import shared_labels
from napari_dre_slcl.engine.at_work import at_work
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.index_builder import RESULTS_FOLDER, IndexBuilder
from napari_dre_slcl.engine.model_cohort import cohort_for_model
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.insight.index_header import CODES_FOLDER, SHARDS_FOLDER
from napari_dre_slcl.insight.search_note import how_it_is_searched
from napari_dre_slcl.insight.write_index import WrittenIndex
from napari_dre_slcl.jobs.messages import Cancelled, IndexJob, Result
from napari_dre_slcl.model.bundle import load_bundle

__all__ = ["run_index"]


def run_index(job: IndexJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Predict every slide of a cohort, and make its tiles and slides searchable.

    Results that lie in the index's folder and still hold are used again, and so are shards of the
    index whose slides are the same, so that a job that was cancelled or killed goes on where it
    was. An earlier index stays whole until the new one is. A slide that cannot be read is left out
    and named.

    Raises
    ------
    DreSlclError
        If the model, the table or the folder cannot be used, or no slide at all could be read.
    """
    reporter = Reporter(on_event, should_stop)
    bundle = load_bundle(job.model)
    device = choose_device(job.device)
    bundle.net.to(device)
    if device.type == "cpu":
        keep_freed_memory()
    config, cohort = cohort_for_model(bundle, job.cohort, job.features)
    rows = _without_names(cohort, {task.name for task in bundle.tasks})
    builder = IndexBuilder(bundle, job.out, config.features.folder, reporter)
    folders = (RESULTS_FOLDER, SHARDS_FOLDER, CODES_FOLDER)
    try:
        with at_work(job.out, reporter, folders):
            for number, row in enumerate(rows):
                reporter.progress("Predicting the cohort", number, len(cohort), row.slide_id)
                builder.add(row)
            reporter.progress("Predicting the cohort", len(cohort), len(cohort))
            if not builder.sources:
                last = next(reversed(builder.skipped.values()))
                raise SlideError(f"None of the {len(cohort)} slides could be read. {last}")
            if builder.n_kept:
                reporter.log(
                    f"The results of {builder.n_kept:,} of {len(cohort):,} slides are kept."
                )
            written = builder.write(str(job.model.absolute()))
    except Stopped:
        return Cancelled(
            message=f"Cancelled. The results of {len(builder.sources):,} of {len(cohort):,} slides "
            "are kept; make the cohort searchable again to go on from there."
        )
    _tell(written, reporter)
    return Result(
        kind="index",
        paths={"index": job.out},
        metrics=_metrics(written),
        skipped=builder.skipped,
    )


def _without_names(cohort: Cohort, learned: set[str]) -> list[SlideRow]:
    """Return the rows with numbers for patients, and without columns that tell these apart.

    An index is passed on with its model; that two slides are of one patient is all it needs.
    """
    patients = numbered_patients([row.patient_id for row in cohort.rows])
    kept = shared_labels(cohort, learned)
    return [
        replace(row, patient_id=patient, labels={name: row.labels[name] for name in kept})
        for row, patient in zip(cohort.rows, patients, strict=True)
    ]


def _metrics(written: WrittenIndex) -> dict[str, float]:
    header = written.header
    metrics: dict[str, float] = {"slides": len(header.slides), "tiles": header.n_tiles}
    if header.codes is not None:
        metrics["recall@12"] = header.codes.recall
    return metrics


def _tell(written: WrittenIndex, reporter: Reporter) -> None:
    """Say what was kept, and what a search costs."""
    header = written.header
    if written.n_kept:
        reporter.log(
            f"{written.n_kept:,} of {len(header.shards):,} shards of the index are as before; "
            f"{written.n_written:,} were written."
        )
    if written.lacks_faiss or header.codes is not None:
        reporter.log(how_it_is_searched(header), "warning" if written.lacks_faiss else "info")
