"""Whether a cohort holds anything that the chosen losses can learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.tasks import Task, left_out_columns
from napari_dre_slcl.config import LossConfig, TrainingConfig
from napari_dre_slcl.errors import CohortError

__all__ = ["check_labels", "check_signal"]

_WITHOUT_LABELS = ("giga-ssl", "slpd")


def check_signal(
    cohort: Cohort,
    split: NDArray[np.str_],
    tasks: Sequence[Task],
    reports: NDArray[np.float32],
    loss: LossConfig,
    training: TrainingConfig,
) -> tuple[str, ...]:
    """Refuse a cohort that no loss can learn from; tell of losses that learn nothing.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    split : ndarray
        (n,) train, val or test.
    tasks : sequence of Task
        What is to be learned of the label columns.
    reports : ndarray
        (n_train, d) vectors of the training slides' reports, 0 where there is none; d may be 0.
    loss : LossConfig
        Which losses count.
    training : TrainingConfig
        What a batch holds.

    Returns
    -------
    tuple of str
        A sentence for each loss that is asked for and has nothing to tell apart, though the cohort
        has what it works on, and for each task that validation cannot judge.

    Raises
    ------
    CohortError
        If nothing can be learned; says why for each loss.
    """
    train = split == "train"
    rows = [row for row, used in zip(cohort.rows, train, strict=True) if used]
    has_report = np.linalg.norm(reports, axis=1) > 0
    reported = [row for row, is_there in zip(rows, has_report, strict=True) if is_there]
    why_not = {
        "labels": _why_no_labels(cohort, train, tasks, loss),
        "reports": _why_no_contrast(reported, reports[has_report], loss, training),
        "views": _why_no_views(rows, loss, training),
    }
    if all(why_not.values()):
        raise CohortError(
            f"Nothing can be learned from the cohort table '{cohort.table}': "
            f"{'; '.join(why_not.values())}. Add labels of two classes or reports, or change the "
            "weights of the losses."
        )
    asked = {"reports": bool(loss.contrastive_weight and reported), "views": bool(loss.view_weight)}
    idle = [
        f"The contrast of {name} learns nothing: {why_not[name]}."
        for name, is_asked in asked.items()
        if is_asked and why_not[name]
    ]
    return (*idle, *_not_judged(cohort, split == "val", tasks))


def check_labels(
    cohort: Cohort, split: NDArray[np.str_], tasks: Sequence[Task], method: str
) -> tuple[str, ...]:
    """Refuse a cohort without a task where the method learns from labels alone.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    split : ndarray
        (n,) train, val or test.
    tasks : sequence of Task
        What is to be learned of the label columns.
    method : str
        Its name; giga-ssl and slpd learn from tiles, labels are for their heads alone.

    Returns
    -------
    tuple of str
        A sentence for each task that validation cannot judge.

    Raises
    ------
    CohortError
        If nothing can be learned.
    """
    if not tasks and method not in _WITHOUT_LABELS:
        columns = left_out_columns(cohort, tasks, split == "train") or "none"
        raise CohortError(
            f"The method {method} learns from labels, and no label column of '{cohort.table}' "
            f"shows two classes on the training slides; its columns: {columns}."
        )
    return tuple(_not_judged(cohort, split == "val", tasks))


def _not_judged(cohort: Cohort, validates: NDArray[np.bool_], tasks: Sequence[Task]) -> list[str]:
    return [
        f"'{task.name}' has one class only among the validation slides, so they cannot judge it."
        for task in tasks
        if validates.any() and len(set(cohort.labels(task.name)[validates]) & {*task.classes}) < 2
    ]


def _why_no_labels(
    cohort: Cohort, train: NDArray[np.bool_], tasks: Sequence[Task], loss: LossConfig
) -> str:
    if not loss.task_weight:
        return "labels do not count (loss.task_weight is 0)"
    if tasks:
        return ""
    columns = left_out_columns(cohort, tasks, train)
    return f"no label column shows two classes: {columns}" if columns else "it has no label column"


def _why_no_contrast(
    reported: Sequence[SlideRow],
    vectors: NDArray[np.float32],
    loss: LossConfig,
    training: TrainingConfig,
) -> str:
    if not loss.contrastive_weight:
        return "reports do not count (loss.contrastive_weight is 0)"
    if not reported:
        return "no training slide has a report"
    if len({row.patient_id for row in reported}) < 2:
        return f"all reports are of the patient '{reported[0].patient_id}'"
    # Texts that differ in words that count for nothing have the same vector.
    if np.allclose(vectors, vectors[0], rtol=0, atol=1e-5):
        return "the reports of all training slides say the same"
    return _why_no_negatives(reported, training)


def _why_no_views(rows: Sequence[SlideRow], loss: LossConfig, training: TrainingConfig) -> str:
    if not loss.view_weight:
        return "views do not count (loss.view_weight is 0)"
    if len({row.patient_id for row in rows}) < 2:
        return f"all training slides are of the patient '{rows[0].patient_id}'"
    if training.fresh_tiles < 2:
        return "a view needs two fresh tiles or more (training.fresh_tiles is 1)"
    return _why_no_negatives(rows, training)


def _why_no_negatives(rows: Sequence[SlideRow], training: TrainingConfig) -> str:
    """Return why no batch holds two patients that may be told apart, empty where one does."""
    if training.slides_per_batch < 2:
        return "a batch holds one slide (training.slides_per_batch is 1)"
    patients = {(row.site, row.patient_id) for row in rows}
    if training.within_site and len(patients) == len({row.site for row in rows}):
        return "no site has two patients (training.within_site)"
    return ""
