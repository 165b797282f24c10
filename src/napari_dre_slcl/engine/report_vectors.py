"""Report vectors of the training slides: TF-IDF, or a file of ready ones, or a language model.

Reports of held-out patients are never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.ready_vectors import read_ready_vectors, shown_names
from napari_dre_slcl.cohort.report_text import clean_report, has_words, label_words, trim_report
from napari_dre_slcl.cohort.reports import check_reports, fit_report_encoder
from napari_dre_slcl.cohort.tasks import Task, find_tasks
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.read_reports import read_reports
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import CohortError

__all__ = ["report_vectors"]


def report_vectors(
    cohort: Cohort, is_train: NDArray[np.bool_], config: DreSlclConfig, reporter: Reporter
) -> NDArray[np.float32]:
    """Turn the reports of training slides into unit vectors.

    Parameters
    ----------
    cohort : Cohort
        The table.
    is_train : ndarray
        (n,) True for training slides; the others are left aside.
    config : DreSlclConfig
        Settings.
    reporter : Reporter
        Told what was made of how many reports, and the progress; may stop a language model.

    Returns
    -------
    ndarray
        (n_train, dim) float32 unit rows, zeros for a slide without a report; width 0 where
        nothing is contrasted.

    Raises
    ------
    CohortError
        If there are too few different reports, or the file of ready vectors cannot be used.
    ModelError, ConfigError
        If the language model cannot be used.
    Stopped
        If the user stops while a language model reads; what it has read is kept.
    """
    rows = [row for row, used in zip(cohort.rows, is_train, strict=True) if used]
    if config.loss.contrastive_weight == 0:
        return np.zeros((len(rows), 0), dtype=np.float32)
    if config.text.encoder == "vectors":
        return _ready(rows, config, reporter)
    texts = [clean_report(row.report) for row in rows]
    if not any(texts):
        reporter.log(
            "No training slide has a report: training goes on without the report contrast.",
            "warning",
        )
        return np.zeros((len(rows), 0), dtype=np.float32)
    if config.text.remove_diagnosis:
        tasks = find_tasks(cohort, config.cohort.tasks, is_train)
        texts = _without_diagnosis(texts, tasks, reporter)
    return _encoded([text if has_words(text) else "" for text in texts], config, reporter)


def _without_diagnosis(
    texts: Sequence[str], tasks: Sequence[Task], reporter: Reporter
) -> list[str]:
    words = label_words(tasks)
    trimmed = [trim_report(text, words) for text in texts]
    changed = [part for part in trimmed if part.n_dropped]
    n_emptied = sum(not has_words(part.text) for part in changed)
    reporter.log(
        f"Left out {sum(part.n_dropped for part in changed)} of "
        f"{sum(part.n_sentences for part in trimmed)} sentences, which name the diagnosis, in "
        f"{len(changed)} of {sum(map(bool, texts))} training reports; nothing is left of "
        f"{n_emptied}. What is left may still tell the diagnosis by its signs."
    )
    return [part.text for part in trimmed]


def _encoded(
    texts: Sequence[str], config: DreSlclConfig, reporter: Reporter
) -> NDArray[np.float32]:
    present = [text for text in texts if text]
    check_reports(present)
    if config.text.encoder == "tfidf-svd":
        encoder = fit_report_encoder(present, config.text.dim, config.training.seed)
        vectors = encoder.encode(texts)
        how = "TF-IDF and SVD give vectors"
    else:
        vectors = read_reports(texts, config, reporter)
        how = f"the language model '{config.text.model}' gives vectors"
    reporter.log(
        f"{len(present)} of {len(texts)} training slides have a report; "
        f"{how} of width {vectors.shape[1]}."
    )
    return vectors


def _ready(
    rows: Sequence[SlideRow], config: DreSlclConfig, reporter: Reporter
) -> NDArray[np.float32]:
    path = config.text.vectors
    if path is None:
        raise CohortError("text.encoder=vectors needs text.vectors, a file.")
    ready = read_ready_vectors(path, [row.slide_id for row in rows])
    if len(np.unique(ready.vectors[ready.vectors.any(axis=1)], axis=0)) < 3:
        raise CohortError(
            f"The report vectors '{path}' have fewer than three different vectors for the training "
            "slides, too few to contrast slides with. Add some, or set loss.contrastive_weight=0."
        )
    if ready.missing:
        reporter.log(
            f"The report vectors '{path}' lack {len(ready.missing)} of {len(rows)} training "
            f"slides: {shown_names(ready.missing)}; they go without a report.",
            "warning",
        )
    if config.text.remove_diagnosis:
        reporter.log(
            "text.remove_diagnosis changes nothing: the report vectors are ready made.", "warning"
        )
    reporter.log(
        f"{len(rows) - len(ready.missing)} of {len(rows)} training slides have a report vector in "
        f"'{path}', of width {ready.vectors.shape[1]}."
    )
    return ready.vectors
