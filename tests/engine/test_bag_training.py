"""Methods on frozen features: from the cohort to the run folder, on feature files and on pixels."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.predict import run_predict
from napari_dre_slcl.engine.prepare import open_cohort, with_split
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.train import run_resume, run_train, train_prepared
from napari_dre_slcl.errors import CohortError, ConfigError, LeakageError
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Log,
    Metric,
    PredictJob,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
)
from napari_dre_slcl.model.bundle import load_bundle
from napari_dre_slcl.results import load_result

N = 20
QUICK = {
    "cohort.tasks": ("subtype",),
    "training.device": "cpu",
    "training.preflight": False,
    "training.epochs": 1,
    "codebook.codewords": 2,
    "residual.heads": 2,
    "residual.layers": 1,
    "mil.epochs": 12,
    "mil.least_steps": 0,
    "mil.lr": 3e-3,
    "mil.slides_per_batch": 4,
    "giga_ssl.epochs": 2,
    "slpd.epochs": 1,
    "probe.c_values": (0.01,),
}
WRITTEN = {
    *("job.json", "config.toml", "env.json", "model", "metrics.json", "predictions.csv"),
    *("vectors.npz", "fitted.json"),
}


def _never() -> bool:
    return False


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twenty slides of twenty patients, known by the feature files that the table names."""
    rng = np.random.default_rng(0)
    (tmp_path / "h5").mkdir()
    lines = ["slide_id,patient_id,features,subtype,report"]
    for number in range(N):
        features = rng.normal(size=(6 + number % 5, 6)).astype(np.float32)
        features[:, 0] += 4 * (number % 2) - 2
        with h5py.File(tmp_path / f"h5/s{number}.h5", "w") as file:
            file["features"] = features
            xy = 256 * np.stack([np.arange(len(features)), np.zeros(len(features))], 1)
            file.create_dataset("coords", data=xy.astype(int)).attrs["patch_size_level0"] = 256
        lines.append(f"s{number},P{number},h5/s{number}.h5,{'AB'[number % 2]},slide {number}")
    path = tmp_path / "cohort.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _job(table: Path, method: str, run: str = "run", **changes: object) -> TrainJob:
    overrides = QUICK | {"method": method} | changes
    return TrainJob(cohort=table, run_dir=table.parent / run, overrides=overrides)


def _rows(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "predictions.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("method", ["attention-mil", "mean-pool", "giga-ssl", "slpd"])
def test_every_method_leaves_a_run_that_predicts_what_it_noted(table: Path, method: str) -> None:
    job = _job(table, method, **{"cohort.val_fraction": 0.2})
    end = run_train(job, lambda event: None, _never)
    assert isinstance(end, Result)
    assert {path.name for path in job.run_dir.iterdir()} == WRITTEN | {"results"}
    if method in ("attention-mil", "mean-pool"):
        assert end.metrics == {"test/auc/subtype": 1.0}
    noted = _rows(job.run_dir)
    assert {row["split"] for row in noted} == {"val", "test"}
    one = next(row for row in noted if row["split"] == "test" and row["class"] == "B")
    out = table.parent / "out"
    file = table.parent / f"h5/{one['slide_id']}.h5"
    predict = PredictJob(model=job.run_dir, slides=(file,), out=out, device="cpu")
    predicted = run_predict(predict, lambda event: None, _never)
    assert isinstance(predicted, Result)
    result = load_result(predicted.paths[one["slide_id"]])
    assert result.predictions[0].probability("B") == pytest.approx(float(one["probability"]))
    assert result.n_codewords == 0
    assert result.attention.sum() == pytest.approx(1, abs=1e-5)
    assert len(result.rowcol) == len(result.attention) > 0
    vectors = np.load(job.run_dir / "vectors.npz")
    assert len(vectors["ids"]) == N
    at = vectors["ids"].tolist().index(one["slide_id"])
    np.testing.assert_array_equal(vectors["X"][at], result.slide_vector)
    assert vectors["split"][at] == "test"
    card = (job.run_dir / "model/MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"Method {method} (" in card
    assert "codewords" not in card


def test_features_are_read_once_for_all_splits_and_left_out_slides_stay_out(table: Path) -> None:
    config = with_overrides(load_preset("default"), QUICK | {"method": "mean-pool"})
    reporter = Reporter(lambda event: None, _never)
    opened = open_cohort(table, config, reporter)
    assert set(opened.split) == {""}
    sides = np.array(["train"] * 12 + ["test"] * 6 + [""] * 2)
    first = with_split(opened, sides, config, reporter)
    job = _job(table, "mean-pool")
    end = train_prepared(job, config, first, table.parent / "a", reporter)
    assert end.metrics == {"test/auc/subtype": 1.0}
    assert {path.name for path in (table.parent / "a").iterdir()} == WRITTEN
    seen = {row["slide_id"] for row in _rows(table.parent / "a")}
    assert seen == {f"s{number}" for number in range(12, 18)}
    assert len(np.load(table.parent / "a/vectors.npz")["ids"]) == 18
    fitted = json.loads((table.parent / "a/fitted.json").read_text())
    assert fitted["model"] == [f"s{number}" for number in range(12)]
    for number in range(18):
        (table.parent / f"h5/s{number}.h5").unlink()
    again = with_split(opened, np.roll(sides, -2), config, reporter)
    with pytest.raises(CohortError, match="no training slide"):
        with_split(opened, np.full(N, ""), config, reporter)
    second = train_prepared(job, config, again, table.parent / "b", reporter)
    assert second.skipped == {}
    # The two slides that the first split had left out had not been read before.
    assert {"s18", "s19"} <= set(np.load(table.parent / "b/vectors.npz")["ids"])


def test_cells_of_dre_slcl_keep_neither_bank_nor_checkpoints(table: Path) -> None:
    config = with_overrides(load_preset("default"), QUICK | {"training.fresh_tiles": 2})
    reporter = Reporter(lambda event: None, _never)
    sides = np.array(["train"] * 14 + ["test"] * 6)
    prepared = with_split(open_cohort(table, config, reporter), sides, config, reporter)
    train_prepared(_job(table, "dre-slcl"), config, prepared, table.parent / "a", reporter)
    assert {path.name for path in (table.parent / "a").iterdir()} == WRITTEN | {"losses.csv"}
    fitted = json.loads((table.parent / "a/fitted.json").read_text())
    names = [f"s{number}" for number in range(14)]
    assert fitted == dict.fromkeys(("model", "codebook", "normalisation", "TF-IDF"), names)


def test_a_cancelled_run_begins_anew_and_ends_as_if_never_stopped(table: Path) -> None:
    whole = _job(table, "attention-mil", "whole")
    assert isinstance(run_train(whole, lambda event: None, _never), Result)
    events: list = []

    def should_stop() -> bool:
        return any(isinstance(event, Metric) and event.step == 3 for event in events)

    broken = _job(table, "attention-mil", "broken")
    assert isinstance(run_train(broken, events.append, should_stop), Cancelled)
    assert not (broken.run_dir / "model").exists()
    again = run_resume(ResumeJob(run_dir=broken.run_dir), lambda event: None, _never)
    assert isinstance(again, Result)
    assert _rows(broken.run_dir) == _rows(whole.run_dir)
    weights = [load_bundle(job.run_dir).weights_sha256 for job in (whole, broken)]
    assert weights[0] == weights[1]


def test_a_training_slide_that_vanishes_is_left_out_and_named(table: Path) -> None:
    config = with_overrides(load_preset("default"), QUICK | {"method": "attention-mil"})
    said: list = []
    reporter = Reporter(said.append, _never)
    sides = np.array(["train"] * 14 + ["test"] * 6)
    prepared = with_split(open_cohort(table, config, reporter), sides, config, reporter)
    (table.parent / "h5/s3.h5").unlink()
    (table.parent / "h5/s15.h5").write_bytes(b"broken")
    end = train_prepared(
        _job(table, "attention-mil"), config, prepared, table.parent / "a", reporter
    )
    assert set(end.skipped) == {"s3.h5", "s15.h5"}
    assert "s3" not in json.loads((table.parent / "a/fitted.json").read_text())["model"]
    assert "s15" not in {row["slide_id"] for row in _rows(table.parent / "a")}
    told = [event.message for event in said if isinstance(event, Log)]
    assert sum("s3.h5" in sentence and "without this slide" in sentence for sentence in told) == 1


def test_validation_is_told_each_epoch(table: Path) -> None:
    events: list = []
    job = _job(table, "attention-mil", **{"cohort.val_fraction": 0.3, "mil.epochs": 2})
    assert isinstance(run_train(job, events.append, _never), Result)
    metrics = [event for event in events if isinstance(event, Metric)]
    assert [event.step for event in metrics] == [1, 2]
    assert set(metrics[0].values) == {"loss", "loss/subtype", "val/auc/subtype"}
    assert any(isinstance(event, Progress) and event.stage == "Training" for event in events)


def test_a_cohort_without_labels_is_refused_where_labels_are_needed(table: Path) -> None:
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("subtype", "note").replace(",A,", ",,").replace(",B,", ",,"))
    job = _job(table, "attention-mil", **{"cohort.tasks": ()})
    with pytest.raises(CohortError, match="attention-mil learns from labels"):
        run_train(job, lambda event: None, _never)
    assert not job.run_dir.exists()
    end = run_train(_job(table, "giga-ssl", **{"cohort.tasks": ()}), lambda event: None, _never)
    assert isinstance(end, Result)


def test_pretraining_has_no_pixels_in_feature_files(table: Path) -> None:
    with pytest.raises(ConfigError, match="feature files"):
        run_train(_job(table, "mean-pool", **{"pretrain.epochs": 1}), lambda event: None, _never)


def test_the_same_report_of_another_patient_on_the_test_side_is_refused(table: Path) -> None:
    long = "resected lobe with a tumour of the lung and clear margins " * 5
    lines = table.read_text(encoding="utf-8").splitlines()
    lines[0] += ",split"
    for number in range(N):
        lines[number + 1] += f",{'train' if number < 14 else 'test'}"
    lines[1] = lines[1].replace("slide 0", long)
    lines[N] = lines[N].replace("slide 19", long)
    table.write_text("\n".join(lines), encoding="utf-8")
    job = _job(table, "dre-slcl")
    with pytest.raises(LeakageError, match="same report, word for word"):
        run_train(job, lambda event: None, _never)
    assert not job.run_dir.exists()


@pytest.mark.parametrize("method", ["attention-mil", "mean-pool"])
def test_methods_learn_on_pixels_and_warn_of_random_weights(
    job_in: Callable[..., TrainJob], tmp_path: Path, method: str
) -> None:
    events: list = []
    job = job_in(tmp_path, method=method, **{"cohort.tasks": "subtype", "mil.epochs": 30})
    end = run_train(job, events.append, _never)
    assert isinstance(end, Result)
    assert end.metrics == {"test/auc/subtype": 1.0}
    told = [event.message for event in events if isinstance(event, Log)]
    assert sum("has random weights" in sentence for sentence in told) == 1
    bundle = load_bundle(job.run_dir)
    assert bundle.feature_dim is None
    results = sorted((job.run_dir / "results").iterdir())
    result = load_result(results[0])
    assert len(result.rowcol) == len(result.attention) > 0
    vectors = np.load(job.run_dir / "vectors.npz")
    assert set(vectors["split"]) == {"test"}


@pytest.mark.parametrize("changes", [{"method": "giga-ssl"}, {"method": "slpd"}], ids=str)
def test_methods_without_labels_run_on_pixels(
    job_in: Callable[..., TrainJob], tmp_path: Path, changes: dict[str, str]
) -> None:
    quick = {"cohort.tasks": "subtype", "giga_ssl.epochs": 2, "slpd.epochs": 1}
    job = job_in(tmp_path, **quick, **changes)
    end = run_train(job, lambda event: None, _never)
    assert isinstance(end, Result)
    assert set(end.metrics) == {"test/auc/subtype"}
    result = load_result(next((job.run_dir / "results").iterdir()))
    assert result.attention.sum() == pytest.approx(1, abs=1e-5)


def test_pretraining_makes_another_frozen_encoder(
    job_in: Callable[..., TrainJob], tmp_path: Path
) -> None:
    changes = {"cohort.tasks": "subtype", "method": "mean-pool"}
    encoders = []
    for epochs in (0, 1):
        job = job_in(tmp_path, f"run{epochs}", **changes, **{"pretrain.epochs": epochs})
        assert isinstance(run_train(job, lambda event: None, _never), Result)
        encoders.append(load_bundle(job.run_dir).net.state_dict())
    names = [name for name in encoders[0] if name.startswith("encoder.")]
    assert any(not np.array_equal(encoders[0][name], encoders[1][name]) for name in names)
