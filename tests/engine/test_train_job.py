"""Training jobs on real slide files: what they write, what they refuse, how they end."""

from __future__ import annotations

import csv
import hashlib
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl import open_slide, predict
from napari_dre_slcl.engine.phase_clock import PHASES
from napari_dre_slcl.engine.predict import run_predict
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Log,
    Metric,
    PredictJob,
    Progress,
    Result,
    TrainJob,
)
from napari_dre_slcl.results import load_result

MakeJob = Callable[..., TrainJob]
SHORT = {"training.epochs": 2}


def _never() -> bool:
    return False


def _run(job: TrainJob) -> tuple[Result | Cancelled, list]:
    events: list = []
    return run_train(job, events.append, _never), events


def test_a_run_learns_and_leaves_a_whole_run_folder(train_job: MakeJob) -> None:
    job = train_job()
    end, events = _run(job)
    assert isinstance(end, Result)
    assert end.metrics == {"test/auc/subtype": 1.0, "test/auc/TP53": 1.0}
    assert {path.name for path in job.run_dir.iterdir()} == {
        *("job.json", "config.toml", "env.json", "model", "results"),
        *("metrics.json", "predictions.csv", "losses.csv", "vectors.npz", "fitted.json"),
    }
    assert tomllib.loads((job.run_dir / "config.toml").read_text())["training"]["epochs"] == 6
    assert json.loads((job.run_dir / "metrics.json").read_text())["test/auc/subtype"] == 1.0
    metrics = [event for event in events if isinstance(event, Metric)]
    assert [metric.step for metric in metrics] == [1, 2, 3, 4, 5, 6]
    assert set(metrics[0].values) == {
        *("loss", "loss/contrastive", "loss/subtype", "loss/TP53"),
        *("temperature", "drift", "age", "lr/encoder", "lr/rest"),
        *(f"seconds/{phase}" for phase in PHASES),
    }
    assert metrics[0].values["seconds/encoder"] > 0
    steps = (job.run_dir / "losses.csv").read_text().splitlines()
    assert steps[0] == "step,epoch,loss,loss/contrastive,loss/subtype,loss/TP53"
    assert [line.split(",")[:2] for line in steps[1:]] == [
        [str(step), str(1 + (step - 1) // 2)] for step in range(1, 13)
    ]
    assert metrics[-1].values["loss"] < metrics[0].values["loss"]
    stages = {event.stage for event in events if isinstance(event, Progress)}
    assert {"Finding tissue", "Filling the memory bank", "Training"} <= stages


def test_the_guess_of_tasks_and_the_split_are_told(train_job: MakeJob) -> None:
    _, events = _run(train_job(**{"training.epochs": 1}))
    said = " ".join(event.message for event in events if isinstance(event, Log))
    assert "Tasks, guessed from the table" in said
    assert "subtype (A, B); TP53 (0, 1)" in said
    assert "8 slides of 4 patients in train, 4 slides of 2 patients in test" in said


def test_predictions_name_held_out_patients_only(train_job: MakeJob) -> None:
    job = train_job(**{"training.epochs": 1})
    _run(job)
    with (job.run_dir / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["split"] for row in rows} == {"test"}
    assert len({row["patient_id"] for row in rows}) == 2
    by_slide: dict[tuple[str, str], float] = {}
    for row in rows:
        key = (row["slide_id"], row["task"])
        by_slide[key] = by_slide.get(key, 0) + float(row["probability"])
    assert list(by_slide.values()) == pytest.approx([1] * 8, abs=1e-5)


@pytest.fixture(scope="module")
def short_job(job_in: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> TrainJob:
    """A job of two epochs that has run."""
    job = job_in(tmp_path_factory.mktemp("short"), **SHORT)
    _run(job)
    return job


def test_held_out_reports_never_enter_training(
    short_job: TrainJob, train_job: MakeJob, tmp_path: Path
) -> None:
    with (short_job.run_dir / "predictions.csv").open() as stream:
        held_out = {row["slide_id"] for row in csv.DictReader(stream)}
    text = short_job.cohort.read_text().splitlines()
    changed = [
        line.rsplit(",", 1)[0] + ",entirely other words"
        if line.split(",")[0].removesuffix(".tif") in held_out
        else line
        for line in text
    ]
    assert changed != text
    other = short_job.cohort.with_name("other_reports.csv")
    other.write_text("\n".join(changed) + "\n")
    again = train_job("two", cohort=other, **SHORT)
    _run(again)
    assert _weights(again) == _weights(short_job)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(
    short_job: TrainJob, train_job: MakeJob
) -> None:
    again, other = train_job("again", **SHORT), train_job("c", **SHORT, **{"training.seed": 2})
    jobs = [short_job, again, other]
    for job in jobs[1:]:
        _run(job)
    losses = [(job.run_dir / "losses.csv").read_text() for job in jobs]
    assert _weights(jobs[0]) == _weights(jobs[1]) != _weights(jobs[2])
    assert losses[0] == losses[1] != losses[2]


def _weights(job: TrainJob) -> str:
    content = (job.run_dir / "model" / "model.safetensors").read_bytes()
    return hashlib.sha256(content).hexdigest()


def test_a_validation_split_is_measured_each_epoch(train_job: MakeJob) -> None:
    job = train_job()
    lines = job.cohort.read_text().splitlines()
    splits = ["split", *["train"] * 4, *["val"] * 4, *["test"] * 4]
    table = job.cohort.with_name("with_split.csv")
    table.write_text(
        "\n".join(f"{line},{split}" for line, split in zip(lines, splits, strict=True)) + "\n"
    )
    _, events = _run(train_job("val", cohort=table, **{"training.epochs": 2}))
    metrics = [event for event in events if isinstance(event, Metric)]
    assert all(0 <= metric.values["val/auc/subtype"] <= 1 for metric in metrics)


def test_training_stops_early_and_keeps_the_weights_of_the_best_validation(
    train_job: MakeJob,
) -> None:
    settings = {"cohort.val_fraction": 0.5, "training.patience": 2, "training.epochs": 9}
    job = train_job(**settings)
    end, events = _run(job)
    assert isinstance(end, Result)
    scores = [
        np.mean([value for name, value in event.values.items() if name.startswith("val/auc/")])
        for event in events
        if isinstance(event, Metric)
    ]
    best = int(np.argmax(scores)) + 1
    assert len(scores) == best + 2 < 9
    said = [event.message for event in events if isinstance(event, Log)]
    assert any(f"weights of epoch {best} are kept, of {len(scores)} trained" in s for s in said)
    with pytest.raises(DreSlclError, match="there are no validation slides"):
        _run(train_job("none", **{"training.patience": 2}))


def test_a_cohort_without_reports_trains_on_tasks_alone(train_job: MakeJob) -> None:
    job = train_job()
    table = job.cohort.with_name("no_reports.csv")
    lines = [line.rsplit(",", 1)[0] for line in job.cohort.read_text().splitlines()]
    table.write_text("\n".join(lines) + "\n")
    end, events = _run(train_job("plain", cohort=table))
    assert isinstance(end, Result)
    assert end.metrics["test/auc/subtype"] == 1.0
    assert any("without the report contrast" in e.message for e in events if isinstance(e, Log))
    metrics = [event for event in events if isinstance(event, Metric)]
    assert "loss/contrastive" not in metrics[0].values


@pytest.mark.parametrize("stage", ["Finding tissue", "Filling the memory bank", "Training"])
def test_a_cancelled_run_ends_at_once(train_job: MakeJob, stage: str) -> None:
    job = train_job()
    events: list = []

    def should_stop() -> bool:
        return any(isinstance(event, Progress) and event.stage == stage for event in events)

    assert isinstance(run_train(job, events.append, should_stop), Cancelled)
    last = [event.stage for event in events if isinstance(event, Progress)][-1]
    assert last == stage
    assert not (job.run_dir / "model").exists()
    assert job.run_dir.exists() == (stage != "Finding tissue")


def test_a_used_run_folder_is_refused_and_left_alone(train_job: MakeJob) -> None:
    job = train_job()
    job.run_dir.mkdir()
    (job.run_dir / "keep.txt").write_text("mine")
    with pytest.raises(DreSlclError, match=r"is in use already\. Choose another"):
        _run(job)
    assert [path.name for path in job.run_dir.iterdir()] == ["keep.txt"]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"cohort.tasks": "grade"}, "no label column 'grade'"),
        ({"training.epochs": "many"}, r"Setting 'training\.epochs' is not usable"),
        ({"training.epoch": 3}, r"Did you mean 'training\.epochs'\?"),
        ({"encoder.name": "resnet_of_mine"}, "timm has no model"),
        ({"training.device": "mps"}, "mps' was asked for, but torch finds none here"),
        ({"codebook.codewords": 200}, "too few for 200 codewords"),
        ({"tiling.mpp": 0.25}, r"coarser than the 0\.25 asked for"),
        ({"features.fill_from": "no-such-folder"}, r"no-such-folder' .*does not exist"),
        ({"encoder.weights_sha256": "abc"}, "a SHA-256 has 64 digits"),
    ],
)
def test_unusable_settings_are_refused(train_job, overrides, sentence: str) -> None:
    job = train_job(**overrides)
    with pytest.raises(DreSlclError, match=sentence):
        _run(job)
    assert not job.run_dir.exists()


def test_predict_gives_the_same_answer_as_training_did(train_job: MakeJob, tmp_path: Path) -> None:
    job = train_job()
    _run(job)
    stored = sorted((job.run_dir / "results").iterdir())
    assert len(stored) == 4
    before = load_result(stored[0])
    job_spec = PredictJob(
        model=job.run_dir, slides=(Path(before.slide_path),), out=tmp_path / "out", device="cpu"
    )
    events: list = []
    end = run_predict(job_spec, events.append, _never)
    assert isinstance(end, Result)
    after = load_result(end.paths[before.slide_id])
    np.testing.assert_allclose(after.slide_vector, before.slide_vector, atol=1e-5)
    np.testing.assert_allclose(after.attention, before.attention, atol=1e-6)
    assert (after.codeword == before.codeword).all()
    for one, other in zip(after.predictions, before.predictions, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)
    with open_slide(before.slide_path) as slide:
        in_python = predict(job.run_dir / "model", slide, device="cpu")
    np.testing.assert_array_equal(in_python.slide_vector, after.slide_vector)
    assert after.tile_size_px == 256
    assert after.attention.sum() == pytest.approx(1, abs=1e-5)
    assert sorted(map(tuple, after.rowcol)) == [(r, c) for r in range(2) for c in range(3)]


def test_a_broken_slide_is_named_and_the_others_are_predicted(
    train_job: MakeJob, make_slide: Callable[..., Path], tmp_path: Path
) -> None:
    job = train_job(**{"training.epochs": 1})
    _run(job)
    good, broken = make_slide(tmp_path / "good.tif"), tmp_path / "broken.svs"
    broken.write_text("no slide")
    both = PredictJob(model=job.run_dir, slides=(broken, good), out=tmp_path / "out")
    end = run_predict(both, lambda event: None, _never)
    assert isinstance(end, Result)
    assert list(end.paths) == ["good"]
    assert "broken.svs" in end.skipped[str(broken)]
    alone = PredictJob(model=job.run_dir, slides=(broken,), out=tmp_path / "none")
    with pytest.raises(DreSlclError, match=r"broken\.svs"):
        run_predict(alone, lambda event: None, _never)
    assert not (tmp_path / "none").exists()


def test_two_slides_of_one_name_get_two_results(
    train_job: MakeJob, make_slide: Callable[..., Path], tmp_path: Path
) -> None:
    job = train_job(**{"training.epochs": 1})
    _run(job)
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
    slides = tuple(make_slide(tmp_path / folder / "same.tif") for folder in ("x", "y"))
    end = run_predict(
        PredictJob(model=job.run_dir, slides=slides, out=tmp_path / "out"), lambda e: None, _never
    )
    assert isinstance(end, Result)
    assert [load_result(path).slide_path for path in end.paths.values()] == [*map(str, slides)]
