"""The pinned slide: a result per epoch, that changes nothing of the training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Cancelled, Result, ResumeJob, Snapshot, TrainJob
from napari_dre_slcl.results import load_result

SHORT = {"training.epochs": 2, "codebook.refit_after_epoch": 0}


def _train(job: TrainJob) -> list[object]:
    events: list[object] = []
    assert isinstance(run_train(job, events.append, lambda: False), Result)
    return events


def _weights(run_dir: Path) -> str:
    return hashlib.sha256((run_dir / "model" / "model.safetensors").read_bytes()).hexdigest()


def test_a_training_slide_is_shown_after_each_epoch_with_the_age_of_its_features(
    train_job: Callable[..., TrainJob],
) -> None:
    job = train_job("run", **SHORT, **{"cohort.split_seed": 1})
    plain = train_job("plain", **SHORT, **{"cohort.split_seed": 1})
    trained = (_train(plain), plain.run_dir / "fitted.json")[1].read_text(encoding="utf-8")
    slide = next(name for name in (f"s{n:02}" for n in range(12)) if f'"{name}"' in trained)

    events = _train(job.model_copy(update={"pinned": slide}))

    snapshots = [event for event in events if isinstance(event, Snapshot)]
    assert [snapshot.step for snapshot in snapshots] == [1, 2]
    result = load_result(snapshots[-1].path)
    assert result.slide_id == slide
    assert result.provenance["training"] == "epoch 2 of 2"
    assert result.freshness is not None
    assert 0 <= result.freshness.min() < result.freshness.max()
    assert result.evidence is not None
    assert _weights(job.run_dir) == _weights(plain.run_dir)


def test_a_held_out_slide_is_encoded_for_it_and_has_no_age(
    train_job: Callable[..., TrainJob], model_dir: Path
) -> None:
    held_out = next((model_dir / "results").glob("*.npz"))
    slide = load_result(held_out).slide_id
    job = train_job("run", **SHORT).model_copy(update={"pinned": slide})

    events = _train(job)

    assert sum(isinstance(event, Snapshot) for event in events) == 2
    assert load_result(job.run_dir / "pinned.dreslcl.npz").freshness is None


def test_a_run_that_is_broken_off_goes_on_with_its_pinned_slide_to_the_same_weights(
    train_job: Callable[..., TrainJob],
) -> None:
    looks = SHORT | {"cohort.val_fraction": 0.3, "residual.dropout": 0.1, "training.epochs": 3}
    plain = train_job("plain", **looks)
    _train(plain)
    fitted = json.loads((plain.run_dir / "fitted.json").read_text(encoding="utf-8"))
    pinned = train_job("run", **looks).model_copy(update={"pinned": fitted["model"][0]})
    begun: list[object] = []

    def has_snapshot() -> bool:
        return any(isinstance(event, Snapshot) for event in begun)

    assert isinstance(run_train(pinned, begun.append, has_snapshot), Cancelled)
    gone_on: list[object] = []
    job = ResumeJob(run_dir=pinned.run_dir)
    assert isinstance(run_resume(job, gone_on.append, lambda: False), Result)

    steps = [event.step for event in (*begun, *gone_on) if isinstance(event, Snapshot)]
    assert sorted(set(steps)) == [1, 2, 3]
    assert load_result(pinned.run_dir / "pinned.dreslcl.npz").freshness is not None
    assert _weights(pinned.run_dir) == _weights(plain.run_dir)


def test_a_method_without_a_bank_shows_it_at_the_end(train_job: Callable[..., TrainJob]) -> None:
    job = train_job("run", method="mean-pool").model_copy(update={"pinned": "s00"})

    events = _train(job)

    assert sum(isinstance(event, Snapshot) for event in events) == 1


def test_an_unknown_slide_is_refused_before_a_run_folder_is_made(
    train_job: Callable[..., TrainJob],
) -> None:
    job = train_job("run", **SHORT).model_copy(update={"pinned": "elsewhere"})

    with pytest.raises(JobError, match="'elsewhere' is not in the cohort"):
        run_train(job, lambda event: None, lambda: False)

    assert not job.run_dir.exists()
