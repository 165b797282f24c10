"""Training and predicting on feature files, in the place of slides."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_dre_slcl.cohort.left_out import write_left_out
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.encode_source import write_source_features
from napari_dre_slcl.engine.predict import run_predict
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.jobs.messages import Log, PredictJob, Result, TrainJob
from napari_dre_slcl.model.bundle import load_bundle
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.results import load_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileSource, tile_slide

DIM = 12
FAST = {
    "codebook.codewords": 3,
    "residual.heads": 4,
    "training.epochs": 4,
    "training.fresh_tiles": 4,
    "training.bank_tiles": None,
    "training.refill_every_epochs": 0,
    "codebook.refit_after_epoch": 0,
    "training.slides_per_batch": 4,
    "training.lr_encoder": 3e-3,
    "training.lr_rest": 3e-3,
}


def _never() -> bool:
    return False


def _write(path: Path, is_dark: int, seed: int, layout: str = "bare", dim: int = DIM) -> None:
    """Write the features of 8 to 13 tiles; half of the tiles of class B point elsewhere."""
    rng = np.random.default_rng(seed)
    n = 8 + seed % 6
    features = rng.normal(size=(n, dim)).astype(np.float32)
    features[: n // 2, 0] += 6 * is_dark
    with h5py.File(path, "w") as file:
        if layout == "clam":
            file["features"] = features
            file["coords"] = np.stack([np.arange(n) * 40 + 7, np.arange(n)], 1).astype(np.int32)
            return
        file["features"] = features[None] if layout == "trident" else features
        if layout == "trident":
            xy = np.stack([512 * (np.arange(n) % 4), 512 * (np.arange(n) // 4)], 1)
            coords = file.create_dataset("coords", data=xy)
            coords.attrs.update(
                {"patch_size": 256, "patch_size_level0": 512, "target_magnification": 20}
            )


@pytest.fixture
def feature_cohort(tmp_path: Path) -> Path:
    """Twelve slides without any slide file, of three layouts; returns the table."""
    folder = tmp_path / "features"
    folder.mkdir()
    lines = ["slide_id,patient_id,subtype,report"]
    for number in range(12):
        is_dark = number // 2 % 2
        layout = ("bare", "trident", "clam")[number % 3]
        _write(folder / f"s{number}.h5", is_dark, number, layout)
        words = ["dark dense tumour", "pale glandular tumour"][1 - is_dark]
        lines.append(f"s{number},P{number // 2},{'AB'[is_dark]},{words} {number}")
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


@pytest.fixture
def feature_job(feature_cohort: Path, tmp_path: Path) -> Callable[..., TrainJob]:
    """Return a function that makes a training job on feature files."""

    def make(run: str = "run", **overrides: object) -> TrainJob:
        settings = FAST | {"features.folder": str(tmp_path / "features")} | overrides
        return TrainJob(
            cohort=feature_cohort, run_dir=tmp_path / run, preset="cpu-small", overrides=settings
        )

    return make


def _run(job: TrainJob) -> tuple[Result, list[str]]:
    events: list = []
    end = run_train(job, events.append, _never)
    assert isinstance(end, Result)
    return end, [event.message for event in events if isinstance(event, Log)]


def test_a_cohort_of_feature_files_trains_and_predicts(feature_job, tmp_path: Path) -> None:
    job = feature_job()
    end, said = _run(job)
    assert end.metrics["test/auc/subtype"] == 1.0
    assert any("Feature files: " in sentence and "12 numbers each" in sentence for sentence in said)
    header = json.loads((job.run_dir / "model" / "model.json").read_text())
    assert header["encoder"] == {"kind": "features", "feature_dim": DIM}
    with (job.run_dir / "predictions.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 4 * 2
    (tmp_path / "features").rename(tmp_path / "elsewhere")
    files = [tmp_path / "elsewhere" / f"s{number}.h5" for number in (0, 1, 2)]
    events: list = []
    predicted = run_predict(
        PredictJob(model=job.run_dir, slides=tuple(files), out=tmp_path / "out", device="cpu"),
        events.append,
        _never,
    )
    bare, trident, clam = (load_result(predicted.paths[f"s{number}"]) for number in (0, 1, 2))
    assert (trident.tile_size_px, trident.grid_shape, len(trident.rowcol)) == (512, (3, 4), 9)
    assert trident.rowcol[:5].tolist() == [[0, 0], [0, 1], [0, 2], [0, 3], [1, 0]]
    assert trident.attention.sum() == pytest.approx(1, abs=1e-5)
    for result, reason in ((bare, "does not say where"), (clam, "does not say how large")):
        assert len(result.rowcol) == len(result.attention) == 0
        assert sum(result.predictions[0].probabilities) == pytest.approx(1, abs=1e-5)
        assert reason in result.provenance["tiles"]
    warnings = [event.message for event in events if isinstance(event, Log)]
    assert sum("There is no map." in sentence for sentence in warnings) == 2


def test_the_wide_layer_is_scaled_by_the_training_slides_alone(
    feature_job, feature_cohort: Path, tmp_path: Path
) -> None:
    lines = feature_cohort.read_text().splitlines()
    sides = ["split", *(["train"] * 4 + ["test"] * 2) * 2]
    rows = [f"{line},{side}" for line, side in zip(lines, sides, strict=True)]
    feature_cohort.write_text("\n".join(rows) + "\n", encoding="utf-8")
    wide = {"features.adapter": "wide", "features.adapter_width": 16}
    job = feature_job(**wide, **{"training.epochs": 2})
    _run(job)
    weights = load_file(job.run_dir / "model" / "model.safetensors")
    stored = []
    for number, side in enumerate(sides[1:]):
        if side == "train":
            with h5py.File(tmp_path / "features" / f"s{number}.h5") as file:
                stored.append(np.asarray(file["features"]).reshape(-1, DIM))
    drawn = torch.from_numpy(np.concatenate(stored))
    torch.testing.assert_close(weights["encoder.feature_mean"], drawn.mean(0))
    torch.testing.assert_close(weights["encoder.feature_std"], drawn.std(0, correction=0))
    loaded = load_bundle(job.run_dir)
    assert (loaded.feature_dim, loaded.net.encoder.dim) == (DIM, 16)


def test_few_slides_take_as_many_epochs_as_the_least_steps_need(feature_job) -> None:
    job = feature_job(**{"training.epochs": 1, "training.least_steps": 5})
    _, said = _run(job)
    assert any("take 3 epochs instead of 1, for 5 steps" in sentence for sentence in said)
    with (job.run_dir / "losses.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 3 * 2
    same = feature_job("enough", **{"training.epochs": 3, "training.least_steps": 5})
    _run(same)
    for name in ("losses.csv", "model/model.safetensors"):
        assert (same.run_dir / name).read_bytes() == (job.run_dir / name).read_bytes()


def test_adapters_make_different_models_of_the_same_width(feature_job) -> None:
    sizes = {}
    for kind in ("none", "linear", "mlp"):
        job = feature_job(kind, **{"features.adapter": kind, "training.epochs": 1})
        _run(job)
        header = json.loads((job.run_dir / "model" / "model.json").read_text())
        sizes[kind] = header["parameters"]
    assert sizes["linear"] - sizes["none"] == DIM * DIM + DIM
    assert sizes["mlp"] - sizes["none"] == 2 * DIM + DIM * 128 + 128 + 128 * DIM + DIM


def test_a_slide_is_refused_by_a_model_of_features_and_the_other_way_round(
    feature_job, slide_file, model_dir: Path, tmp_path: Path
) -> None:
    job = feature_job(**{"training.epochs": 1})
    _run(job)
    out = tmp_path / "out"
    slide = PredictJob(model=job.run_dir, slides=(slide_file(),), out=out, device="cpu")
    with pytest.raises(DreSlclError, match=r"trained on feature files of 12 numbers.*\(\.h5\)"):
        run_predict(slide, lambda event: None, _never)
    file = tmp_path / "features" / "s0.h5"
    features = PredictJob(model=model_dir, slides=(file,), out=out, device="cpu")
    with pytest.raises(DreSlclError, match=r"trained on pixels.*'s0\.h5'"):
        run_predict(features, lambda event: None, _never)
    wide = tmp_path / "wide.h5"
    _write(wide, 0, 0, dim=20)
    job = PredictJob(model=job.run_dir, slides=(wide,), out=out, device="cpu")
    with pytest.raises(DreSlclError, match=r"'wide\.h5' has 20 numbers per tile, this model was"):
        run_predict(job, lambda event: None, _never)


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        (lambda folder: (folder / "s3.h5").unlink(), r"no feature file for 1 of 12 .*'s3\.h5'"),
        (lambda folder: (folder / "s3.h5").write_bytes(b"no"), r"s3\.h5' cannot be read, it is da"),
        (lambda folder: _write(folder / "s3.h5", 0, 3, dim=9), r"'s0\.h5' has 12 .*'s3\.h5' has 9"),
        (lambda folder: folder.rename(folder.with_name("x")), r"features' does not exist"),
    ],
)
def test_feature_files_that_cannot_serve_are_named(
    feature_job, tmp_path, break_it, sentence
) -> None:
    job = feature_job()
    break_it(tmp_path / "features")
    with pytest.raises(DreSlclError, match=sentence):
        run_train(job, lambda event: None, _never)
    assert not job.run_dir.exists()


def test_a_slide_that_could_not_be_embedded_takes_no_part(feature_job, tmp_path: Path) -> None:
    job = feature_job(**{"training.epochs": 1})
    (tmp_path / "features" / "s3.h5").unlink()
    write_left_out(tmp_path / "features", {"s3": "It was cut off."})
    _, said = _run(job)
    assert any("1 of 12 slides take no part" in sentence for sentence in said)
    assert "Left out s3: It was cut off." in said


def test_files_that_fit_spare_the_first_fill(train_job, tmp_path: Path) -> None:
    """Features of one file are marked, so that it shows whether the bank took them."""
    start = tmp_path / "start.pth"
    settings = {
        "training.epochs": 1,
        "codebook.refit_after_epoch": 0,
        "encoder.weights": str(start),
    }
    job = train_job("plain", **settings)
    config = with_overrides(load_preset("cpu-small"), job.overrides | {"encoder.weights": None})
    torch.manual_seed(5)
    torch.save(build_encoder(config).backbone.state_dict(), start)
    config = with_overrides(config, {"encoder.weights": str(start)})
    encoder, folder = build_encoder(config), tmp_path / "known"
    for path in sorted(job.cohort.parent.glob("s*.tif")):
        with open_slide(path) as slide:
            source = TileSource(slide, tile_slide(slide, config.tiling))
            write_source_features(encoder, config, source, path.stem, folder)
    weights = {}
    for name in ("plain", "filled", "marked"):
        extra = {} if name == "plain" else {"features.fill_from": str(folder)}
        if name == "marked":
            for path in folder.iterdir():
                with h5py.File(path, "r+") as file:
                    file["features"][...] = np.roll(file["features"][()], 7, axis=1)
        job = train_job(name, **settings, **extra)
        _, said = _run(job)
        taken = [sentence for sentence in said if "The bank takes features of 8 of 8" in sentence]
        assert len(taken) == (name != "plain")
        weights[name] = load_bundle(job.run_dir).net.codewords
    torch.testing.assert_close(weights["filled"], weights["plain"], atol=1e-3, rtol=0)
    assert not torch.allclose(weights["marked"], weights["plain"], atol=1e-2)


def test_heads_that_do_not_divide_the_features_are_refused(feature_job) -> None:
    with pytest.raises(DreSlclError, match=r"residual\.heads=5 does not divide"):
        run_train(feature_job(**{"residual.heads": 5}), lambda event: None, _never)


def test_held_out_slides_change_nothing_of_what_is_trained(tmp_path: Path) -> None:
    """Neither their reports nor their labels nor their tiles."""
    weights = []
    for is_changed in (False, True):
        folder = tmp_path / str(is_changed)
        folder.mkdir()
        lines = ["slide_id,patient_id,subtype,report,split"]
        for number in range(12):
            split = "train" if number < 8 else ("val", "test")[number % 2]
            is_other = is_changed and split != "train"
            is_dark = number // 2 % 2 ^ is_other
            _write(folder / f"s{number}.h5", is_dark, number + 100 * is_other)
            words = f"zebra {number}" if is_other else f"{['pale', 'dark'][is_dark]} {number} mm"
            lines.append(f"s{number},P{number},{'AB'[is_dark]},{words},{split}")
        table = folder / "cohort.csv"
        table.write_text("\n".join(lines) + "\n", encoding="utf-8")
        settings = FAST | {"features.folder": str(folder), "training.device": "cpu"}
        settings |= {"training.preflight": False, "text.remove_diagnosis": True}
        run_train(
            TrainJob(cohort=table, run_dir=folder / "run", preset="cpu-small", overrides=settings),
            lambda event: None,
            _never,
        )
        weights.append(load_file(folder / "run" / "model" / "model.safetensors"))
    first, second = weights
    assert all(torch.equal(value, second[name]) for name, value in first.items())
