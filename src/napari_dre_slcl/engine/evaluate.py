"""How well predictions agree with labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.pseudonyms import numbered_patients
from napari_dre_slcl.engine.held_out_slide import HeldOutSlide
from napari_dre_slcl.results import TaskPrediction
from napari_dre_slcl.untrusted import defuse

__all__ = ["task_aucs", "write_predictions"]


def task_aucs(cohort: Cohort, results: Mapping[int, HeldOutSlide]) -> dict[str, float]:
    """Return the area under the ROC curve of each task.

    Parameters
    ----------
    cohort : Cohort
        Labels.
    results : Mapping
        Result by row number of the cohort.

    Returns
    -------
    dict of str to float
        By task; of more than two classes, the mean of one against the rest. A task is left out
        where its labelled slides show one class only.
    """
    if not results:
        return {}
    aucs = {}
    for index, task in enumerate(next(iter(results.values())).predictions):
        predictions = [result.predictions[index] for result in results.values()]
        labels = [cohort.rows[row].labels[task.task] for row in results]
        auc = _auc(predictions, labels)
        if auc is not None:
            aucs[task.task] = auc
    return aucs


def _auc(predictions: Sequence[TaskPrediction], labels: Sequence[str]) -> float | None:
    from sklearn.metrics import roc_auc_score  # over a second; of several processes one needs it

    classes = predictions[0].classes
    known = [
        (prediction, label)
        for prediction, label in zip(predictions, labels, strict=True)
        if label in classes
    ]
    asked = [predictions[0].positive] if predictions[0].positive else list(classes)
    areas = []
    for name in asked:
        truth = [label == name for _, label in known]
        if len(set(truth)) == 2:
            scores = [prediction.probability(name or "") for prediction, _ in known]
            areas.append(float(roc_auc_score(truth, scores)))
    return float(np.mean(areas)) if areas else None


def write_predictions(
    path: Path, cohort: Cohort, split: Sequence[str], results: Mapping[int, HeldOutSlide]
) -> None:
    """Write one line per slide, task and class; of patients only who is the same."""
    patients = numbered_patients([row.patient_id for row in cohort.rows])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["slide_id", "patient_id", "split", "task", "label", "class", "probability"])
    for row, result in results.items():
        slide = cohort.rows[row]
        for prediction in result.predictions:
            for name, value in zip(prediction.classes, prediction.probabilities, strict=True):
                label = slide.labels[prediction.task]
                who = (slide.slide_id, patients[row], split[row])
                words = (*who, prediction.task, label, name)
                writer.writerow([*(defuse(word) for word in words), f"{value:.9g}"])
    write_text(path, text.getvalue())
