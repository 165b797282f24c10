"""Whether a cohort holds anything that the chosen losses can learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.tasks import Task, left_out_columns
from napari_dre_slcl.config import LossConfig
from napari_dre_slcl.errors import CohortError

__all__ = ["check_signal"]


def check_signal(
    cohort: Cohort,
    train: NDArray[np.bool_],
    tasks: Sequence[Task],
    has_report: NDArray[np.bool_],
    loss: LossConfig,
) -> tuple[str, ...]:
    """Refuse a cohort that no loss can learn from; tell of losses that learn nothing.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    train : ndarray
        (n,) True for training slides.
    tasks : sequence of Task
        What is to be learned of the label columns.
    has_report : ndarray
        (n_train,) True for training slides whose report has a vector.
    loss : LossConfig
        Which losses count.

    Returns
    -------
    tuple of str
        A sentence for each loss that is asked for and has nothing to tell apart, though the cohort
        has what it works on.

    Raises
    ------
    CohortError
        If nothing can be learned; says why for each loss.
    """
    rows = [row for row, used in zip(cohort.rows, train, strict=True) if used]
    reported = [row for row, is_there in zip(rows, has_report, strict=True) if is_there]
    why_not = {
        "labels": _why_no_labels(cohort, train, tasks, loss),
        "reports": _why_no_contrast(reported, loss),
        "views": _why_no_views(rows, loss),
    }
    if all(why_not.values()):
        raise CohortError(
            f"Nothing can be learned from the cohort table '{cohort.table}': "
            f"{'; '.join(why_not.values())}. Add labels of two classes or reports, or change the "
            "weights of the losses."
        )
    asked = {"reports": bool(loss.contrastive_weight and reported), "views": bool(loss.view_weight)}
    return tuple(
        f"The contrast of {name} learns nothing: {why_not[name]}."
        for name, is_asked in asked.items()
        if is_asked and why_not[name]
    )


def _why_no_labels(
    cohort: Cohort, train: NDArray[np.bool_], tasks: Sequence[Task], loss: LossConfig
) -> str:
    if not loss.task_weight:
        return "labels do not count (loss.task_weight is 0)"
    if tasks:
        return ""
    columns = left_out_columns(cohort, tasks, train)
    return f"no label column shows two classes: {columns}" if columns else "it has no label column"


def _why_no_contrast(reported: Sequence[SlideRow], loss: LossConfig) -> str:
    if not loss.contrastive_weight:
        return "reports do not count (loss.contrastive_weight is 0)"
    if not reported:
        return "no training slide has a report"
    if len({row.patient_id for row in reported}) < 2:
        return f"all reports are of the patient '{reported[0].patient_id}'"
    # Ready vectors come without texts: what is not there cannot be the same.
    texts = {row.report for row in reported}
    return "all training slides have the same report" if len(texts) < 2 and all(texts) else ""


def _why_no_views(rows: Sequence[SlideRow], loss: LossConfig) -> str:
    if not loss.view_weight:
        return "views do not count (loss.view_weight is 0)"
    if len({row.patient_id for row in rows}) < 2:
        return f"all training slides are of the patient '{rows[0].patient_id}'"
    return ""
