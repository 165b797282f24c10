"""Two processes share validation, test slides and tissue, and find what one finds."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.engine.device import processors
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.jobs.messages import (
    PAUSED_STAGE,
    Cancelled,
    Event,
    Log,
    Metric,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
)
from napari_dre_slcl.results import load_result

pytestmark = pytest.mark.skipif(
    sys.platform not in ("linux", "darwin") or processors() < 2, reason="needs two processors"
)

SETTINGS = {
    "codebook.codewords": 2,
    "codebook.refit_after_epoch": 0,
    "training.epochs": 2,
    "training.lr_encoder": 1e-4,
    "training.lr_rest": 1e-4,
    "training.shards": 2,
    "training.patience": 5,
    "training.ema": 0.5,
}
# Two of each class are held out twice; each process predicts one of each.
SPLITS = ("train",) * 4 + ("val",) * 4 + ("test",) * 4
MakeJob = Callable[..., TrainJob]


def validated(events: list[Event]) -> list[dict[str, float]]:
    return [
        {name: value for name, value in event.values.items() if "val/" in name or "chance" in name}
        for event in events
        if isinstance(event, Metric)
    ]


def warnings(events: list[Event]) -> list[str]:
    return [one.message for one in events if isinstance(one, Log) and one.level == "warning"]


def predictions(run_dir: Path) -> tuple[list[list[str]], list[float]]:
    with (run_dir / "predictions.csv").open() as stream:
        rows = list(csv.reader(stream))[1:]
    return [row[:-1] for row in rows], [float(row[-1]) for row in rows]


def assert_same(run_dir: Path, expected: Path) -> None:
    """Compare all that is written of held-out slides."""
    figures, wanted = (
        json.loads((path / "metrics.json").read_text()) for path in (run_dir, expected)
    )
    assert figures == pytest.approx(wanted, abs=1e-5)
    (names, values), (wanted_names, wanted_values) = predictions(run_dir), predictions(expected)
    assert names == wanted_names
    assert values == pytest.approx(wanted_values, abs=1e-5)
    with np.load(run_dir / "vectors.npz") as own, np.load(expected / "vectors.npz") as other:
        assert own["ids"].tolist() == other["ids"].tolist()
        assert own["split"].tolist() == other["split"].tolist()
        np.testing.assert_allclose(own["X"], other["X"], atol=1e-5)
    results = sorted(path.name for path in (run_dir / "results").iterdir())
    assert results == sorted(path.name for path in (expected / "results").iterdir())
    for name in results:
        own, other = (load_result(path / "results" / name) for path in (run_dir, expected))
        np.testing.assert_array_equal(own.rowcol, other.rowcol)
        np.testing.assert_allclose(own.attention, other.attention, atol=1e-5)
        np.testing.assert_allclose(own.evidence, other.evidence, atol=1e-4)
        assert own.predictions[0].low == pytest.approx(other.predictions[0].low, abs=1e-5)


def pixel_table(make_slide, tissue_image, folder: Path, blank: int | None = None) -> Path:
    """Write slides of different numbers of tiles; one may have no tissue."""
    lines = ["slide,patient_id,subtype,split,report"]
    for number, split in enumerate(SPLITS):
        rows = 512 + 256 * (number % 3)
        is_dark = number // 2 % 2
        image = tissue_image(rows, 512, (0, 0, rows, 512)) * [1, 0.6][is_dark]
        if number == blank:
            image = np.full((1280, 512, 3), 243)
        make_slide(folder / f"s{number}.tif", image=image.astype(np.uint8))
        report = f"{['pale', 'dark'][is_dark]} tumour {number}"
        lines.append(f"s{number}.tif,P{number},{'AB'[is_dark]},{split},{report}")
    (folder / "cohort.csv").write_text("\n".join(lines))
    return folder / "cohort.csv"


def test_two_processes_find_what_one_finds(
    make_slide, tissue_image, train_job: MakeJob, tmp_path: Path
) -> None:
    table = pixel_table(make_slide, tissue_image, tmp_path)
    by_one, by_two = [], []
    one = train_job("one", cohort=table, **SETTINGS)
    two = train_job("two", cohort=table, **SETTINGS, **{"training.devices": 2})
    whole = run_train(one, by_one.append, lambda: False)
    shared = run_train(two, by_two.append, lambda: False)
    assert isinstance(whole, Result)
    assert isinstance(shared, Result)
    assert shared.metrics == pytest.approx(whole.metrics, abs=1e-5)
    assert len(validated(by_two)) == 2
    for own, wanted in zip(validated(by_two), validated(by_one), strict=True):
        assert "val/auc/subtype" in own
        assert own == pytest.approx(wanted, abs=1e-5)
    assert_same(two.run_dir, one.run_dir)
    assert "are kept, of 2 trained" in " ".join(
        event.message for event in by_two if isinstance(event, Log)
    )


def test_a_slide_that_may_not_be_left_out_and_the_second_meets_ends_both_with_its_sentence(
    make_slide, tissue_image, train_job: MakeJob, tmp_path: Path
) -> None:
    table = pixel_table(make_slide, tissue_image, tmp_path, blank=4)
    settings = {"training.devices": 2, "cohort.most_broken": 0}
    job = train_job(cohort=table, **SETTINGS, **settings)
    with pytest.raises(SlideError, match=r"^Slide 's4\.tif' has no tissue tile"):
        run_train(job, lambda event: None, lambda: False)
    assert not job.run_dir.exists()


def write_features(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(len(SPLITS)):
        with h5py.File(folder / f"s{number}.h5", "w") as file:
            file["features"] = rng.normal(size=(6, 8)).astype(np.float32) + number // 2 % 2


@pytest.fixture
def feature_job(train_job: MakeJob, tmp_path: Path) -> TrainJob:
    """Return a job of two processes on feature files, which are read anew each time."""
    write_features(tmp_path)
    lines = [f"s{n},P{n},{'AB'[n // 2 % 2]},{split}" for n, split in enumerate(SPLITS)]
    (tmp_path / "cohort.csv").write_text("\n".join(["slide_id,patient_id,subtype,split", *lines]))
    settings = {
        "features.folder": str(tmp_path),
        "residual.heads": 4,
        "training.tile_cache_mib": 0,
        "training.devices": 2,
    }
    return train_job(cohort=tmp_path / "cohort.csv", **SETTINGS | settings)


def test_slides_break_and_a_user_pauses_stops_and_goes_on_while_two_processes_validate(
    feature_job: TrainJob, tmp_path: Path
) -> None:
    events: list[Event] = []
    wishes = {"pause": False, "stop": False}

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.stage in ("Training", PAUSED_STAGE):
            for number in (4, 5, 8, 9):  # of each split, one that each process predicts
                (tmp_path / f"s{number}.h5").unlink(missing_ok=True)
            wishes["pause"] = False
        if isinstance(event, Progress) and (event.stage, event.done) == ("Validating", 2):
            is_first = not validated(events)
            wishes.update(pause=is_first and not paused(), stop=not is_first)

    def paused() -> list[int]:
        return [n for n, one in enumerate(events) if getattr(one, "stage", "") == PAUSED_STAGE]

    end = run_train(feature_job, on_event, lambda: wishes["stop"], lambda: wishes["pause"])
    assert isinstance(end, Cancelled)
    assert "dre-slcl resume" in end.message
    around = [events[paused()[0] + side] for side in (-1, 1)]
    assert [getattr(one, "stage", "") for one in around] == ["Validating"] * 2

    write_features(tmp_path)  # a run goes on with all its files
    wishes["stop"] = False
    seen: list[Event] = []

    def break_again(event: Event) -> None:
        seen.append(event)
        if getattr(event, "stage", "") == "Validating":
            for number in (8, 9):
                (tmp_path / f"s{number}.h5").unlink(missing_ok=True)

    again = ResumeJob(run_dir=feature_job.run_dir)
    end = run_resume(again, break_again, lambda: False)
    assert isinstance(end, Result)
    lost = [f"s{number}.h5" for number in (4, 5, 8, 9)]
    assert list(end.skipped) == lost
    told = [text for text in warnings(events + seen) if text.endswith("It is left out.")]
    assert [name for text in told for name in lost if name in text] == lost
    figures = json.loads((feature_job.run_dir / "metrics.json").read_text())
    assert figures["test/slides"] == 2
    names = {row[0] for row in predictions(feature_job.run_dir)[0]}
    assert names == {"s6", "s7", "s10", "s11"}
    assert "seconds/network" in [one for one in seen if isinstance(one, Metric)][-1].values
