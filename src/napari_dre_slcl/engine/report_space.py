"""Where reports are vectors: fitted on training reports, held-out ones are placed into it.

Training sees its vectors; a held-out report is placed only to measure retrieval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.ready_vectors import read_ready_vectors, shown_names
from napari_dre_slcl.cohort.report_model import ReportModel
from napari_dre_slcl.cohort.report_text import clean_report, has_words, label_words, trim_report
from napari_dre_slcl.cohort.reports import ReportEncoder, check_reports, fit_report_encoder
from napari_dre_slcl.cohort.shared_words import LEAST_PATIENTS, keep_shared_words
from napari_dre_slcl.cohort.tasks import Task, find_tasks
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.read_reports import read_reports
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import CohortError

__all__ = ["ReportSpace", "fit_report_space"]

_Encode = Callable[[Sequence[SlideRow]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class ReportSpace:
    """Report vectors of the training slides, and how those of others are made.

    Parameters
    ----------
    vectors : ndarray
        (n_train, dim) float32 unit rows, zeros for a slide without a report; width 0 where no
        training slide has one.
    encode : callable
        Rows of the cohort table to (m, dim) vectors of the same kind. Nothing is fitted on them.
    model : ReportModel or None
        What was fitted, to be kept with the trained model; None where nothing was.
    """

    vectors: NDArray[np.float32]
    encode: _Encode
    model: ReportModel | None = None


def fit_report_space(
    cohort: Cohort, is_train: NDArray[np.bool_], config: DreSlclConfig, reporter: Reporter
) -> ReportSpace:
    """Turn the reports of training slides into unit vectors; the same input gives the same bits.

    Parameters
    ----------
    cohort : Cohort
        The table.
    is_train : ndarray
        (n,) True for training slides; nothing is fitted on the others.
    config : DreSlclConfig
        Settings of the text, and the seed.
    reporter : Reporter
        Told what was made of how many reports, and the progress; may stop a language model.

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
    if config.text.encoder == "vectors":
        return _ready_space(rows, config, reporter)
    texts = [_cleaned(row.report) for row in rows]
    if not any(texts):
        return ReportSpace(
            np.zeros((len(rows), 0), dtype=np.float32),
            lambda others: np.zeros((len(others), 0), dtype=np.float32),
        )
    words: tuple[str, ...] | None = None
    if config.text.remove_diagnosis:
        tasks = find_tasks(cohort, config.cohort.tasks, is_train)
        words = tuple(label_words(tasks))
        texts = _without_diagnosis(texts, tasks, reporter)
    texts = [text if has_words(text) else "" for text in texts]
    if config.text.encoder == "tfidf-svd":
        return _tfidf_space(texts, [row.patient_id for row in rows], words, config, reporter)
    return _language_space(texts, words, config, reporter)


def _tfidf_space(
    texts: Sequence[str],
    patients: Sequence[str],
    words: Sequence[str] | None,
    config: DreSlclConfig,
    reporter: Reporter,
) -> ReportSpace:
    present = tuple(text for text in texts if text)
    encoder = _fitted(present, config.text.dim, config.training.seed)
    vectors = encoder.encode(texts)
    _say_what_was_made(reporter, texts, "TF-IDF and SVD give vectors", vectors)
    whose = tuple(patient for text, patient in zip(texts, patients, strict=True) if text)
    return ReportSpace(
        vectors,
        lambda rows: encoder.encode(_prepared(rows, words)),
        _kept_with_model(_shared(encoder, present, whose), words, reporter),
    )


def _kept_with_model(
    shared: ReportEncoder | None, words: Sequence[str] | None, reporter: Reporter
) -> ReportModel | None:
    if shared is not None:
        return ReportModel(shared, None if words is None else tuple(words))
    reporter.log(
        f"No word occurs in the training reports of {LEAST_PATIENTS} patients, so that none is "
        "kept with the model: no phrase can be asked of it."
    )
    return None


def _language_space(
    texts: Sequence[str], words: Sequence[str] | None, config: DreSlclConfig, reporter: Reporter
) -> ReportSpace:
    check_reports([text for text in texts if text])
    vectors = read_reports(texts, config, reporter)
    how = f"the language model '{config.text.model}' gives vectors"
    _say_what_was_made(reporter, texts, how, vectors)

    def encode(rows: Sequence[SlideRow]) -> NDArray[np.float32]:
        others = _prepared(rows, words)
        if not any(others):
            return np.zeros((len(others), vectors.shape[1]), dtype=np.float32)
        return read_reports(others, config, reporter)

    return ReportSpace(vectors, encode)


def _ready_space(
    rows: Sequence[SlideRow], config: DreSlclConfig, reporter: Reporter
) -> ReportSpace:
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
    return ReportSpace(
        ready.vectors,
        lambda others: read_ready_vectors(path, [row.slide_id for row in others]).vectors,
    )


# An evaluation asks for the same fit twice, and cleans the same reports for every fold.
_cleaned = lru_cache(maxsize=8192)(clean_report)


@lru_cache(maxsize=1)
def _fitted(texts: tuple[str, ...], dim: int, seed: int) -> ReportEncoder:
    return fit_report_encoder(texts, dim, seed)


@lru_cache(maxsize=1)
def _shared(
    encoder: ReportEncoder, texts: tuple[str, ...], patients: tuple[str, ...]
) -> ReportEncoder | None:
    return keep_shared_words(encoder, texts, patients)


def _prepared(rows: Sequence[SlideRow], words: Sequence[str] | None) -> list[str]:
    """Return the texts of held-out slides, made ready as those of training were."""
    texts = [_cleaned(row.report) for row in rows]
    if words is not None:
        texts = [trim_report(text, words).text for text in texts]
    return [text if has_words(text) else "" for text in texts]


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


def _say_what_was_made(
    reporter: Reporter, texts: Sequence[str], how: str, vectors: NDArray[np.float32]
) -> None:
    reporter.log(
        f"{sum(map(bool, texts))} of {len(texts)} training slides have a report; "
        f"{how} of width {vectors.shape[1]}."
    )
