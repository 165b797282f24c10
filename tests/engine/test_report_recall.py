"""Recall of validation slides among all reports, with known answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.engine.report_recall import recall_at
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.jobs.messages import Log, Metric, Result

EYE = np.eye(20, dtype=np.float32)


def test_slides_on_their_reports_find_them_and_slides_on_others_do_not() -> None:
    own, others = EYE[:4], EYE[4:]
    assert recall_at(own, own, others, k=1) == (1.0, pytest.approx(1 / 20))
    swapped = own[[1, 0, 2, 3]]
    assert recall_at(swapped, own, others, k=1) == (0.5, pytest.approx(1 / 20))


def test_what_is_equally_near_counts_as_nearer() -> None:
    nowhere = np.zeros((3, 20), dtype=np.float32)
    assert recall_at(nowhere, EYE[:3], EYE[3:], k=10) == (0.0, 0.5)


def test_equal_reports_are_one_and_rows_without_a_report_are_none() -> None:
    own = EYE[[0, 0]]
    others = np.concatenate([EYE[[0, 1, 2]], np.zeros((30, 20), dtype=np.float32)])
    assert recall_at(own, own, others, k=1) == (1.0, pytest.approx(1 / 3))
    assert recall_at(own, own, others, k=3) is None


def test_a_cohort_with_too_few_reports_has_no_figure_and_trains_on(job_in, tmp_path: Path) -> None:
    job = job_in(tmp_path, **{"training.epochs": 2, "cohort.val_fraction": 0.3, "text.dim": 4})
    events = []
    assert isinstance(run_train(job, events.append, lambda: False), Result)
    figures = [event.values for event in events if isinstance(event, Metric)]
    assert len(figures) == 2
    assert not any("val/recall@10" in values for values in figures)


def test_ready_vectors_without_validation_slides_give_no_figure_and_end_no_training(
    job_in, tmp_path: Path
) -> None:
    split = {"training.epochs": 1, "cohort.val_fraction": 0.3}
    first = job_in(tmp_path, "first", **split)
    assert isinstance(run_train(first, lambda event: None, lambda: False), Result)
    slides = json.loads((first.run_dir / "fitted.json").read_text(encoding="utf-8"))["model"]
    vectors = np.eye(len(slides), 4, dtype=np.float32) + 0.1
    np.savez(tmp_path / "ready.npz", slide_id=np.array(slides), vectors=vectors)
    ready = {"text.encoder": "vectors", "text.vectors": str(tmp_path / "ready.npz")}
    events = []

    end = run_train(job_in(tmp_path, **split, **ready), events.append, lambda: False)

    assert isinstance(end, Result)
    told = [event.message for event in events if isinstance(event, Log)]
    assert sum("is not measured" in message for message in told) == 1
