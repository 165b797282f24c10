"""Ask: phrases as vectors in the report space of a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.cohort.report_model import load_report_model, phrase_text
from napari_dre_slcl.cohort.report_text import label_words
from napari_dre_slcl.engine.read_reports import read_reports
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.engine.warm import warm_bundle
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import AskJob, Cancelled, Result
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.untrusted import read_json

__all__ = ["run_ask"]


def run_ask(job: AskJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Place phrases in the report space of a model.

    Parameters
    ----------
    job : AskJob
        Model, phrases, and where to write their vectors.
    on_event : callable
        Told which words are not known, and the progress of a language model.
    should_stop : callable
        True once the user wants the job to end.

    Returns
    -------
    Result or Cancelled
        ``paths["vectors"]`` is the (phrases, width) float32 array of unit rows.

    Raises
    ------
    DreSlclError
        If the model knows no reports, its text encoder is missing, or no word is known.
    """
    reporter = Reporter(on_event, should_stop)
    if not job.phrases:
        raise JobError("There is no word to look for. Type a word or a few.")
    bundle = warm_bundle(job.model)
    kind = bundle.config.text.encoder
    if not bundle.text_dim:
        raise JobError(
            "This model was trained without reports, so that no phrase can be asked. Train one "
            "with reports (column 'report', loss.contrastive_weight above 0)."
        )
    if kind == "vectors":
        raise JobError(
            "This model was trained on ready-made report vectors; what made them is not known "
            "here, so that no phrase can be placed among them."
        )
    try:
        vectors = (_by_words if kind == "tfidf-svd" else _by_language_model)(job, bundle, reporter)
    except Stopped:
        return Cancelled()
    _write(vectors, job.out)
    return Result(kind="ask", paths={"vectors": job.out})


def _by_words(job: AskJob, bundle: Bundle, reporter: Reporter) -> NDArray[np.float32]:
    assert bundle.folder is not None
    header = read_json(bundle.folder / "model.json")
    model = load_report_model(bundle.folder, header)
    vectors = []
    for phrase in job.phrases:
        vector, unknown = model.place(phrase)
        if unknown:
            shown = ", ".join(f"'{word}'" for word in unknown)
            reporter.log(
                f"Not in the training reports, or in hardly any, so left aside: {shown}.", "warning"
            )
        vectors.append(vector)
    return np.stack(vectors)


def _by_language_model(job: AskJob, bundle: Bundle, reporter: Reporter) -> NDArray[np.float32]:
    removed = label_words(bundle.tasks) if bundle.config.text.remove_diagnosis else None
    texts = [phrase_text(phrase, removed) for phrase in job.phrases]
    return read_reports(texts, bundle.config, reporter)


def _write(vectors: NDArray[np.float32], path: Path) -> None:
    try:
        with atomic_writer(path) as stream:
            np.save(stream, vectors.astype(np.float32), allow_pickle=False)
    except OSError as error:
        raise JobError(
            f"The answer cannot be written to '{path}': {error.strerror}. Make room on the disk."
        ) from error
