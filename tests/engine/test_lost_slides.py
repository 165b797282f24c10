"""Slides that vanish or break while a run is under way: skipped, counted, told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import JobError, SlideError
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Event,
    Log,
    Metric,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
)
from napari_dre_slcl.slide import tiff_backend
from napari_dre_slcl.slide.block_cache import BlockCache

Lose = Callable[[Path], None]
N_SLIDES = 8
SPLITS = ("train",) * 5 + ("val",) + ("test",) * 2


def cut(path: Path) -> None:
    """Leave the head of a slide file only, as a broken copy or a disk that goes away does."""
    with path.open("r+b") as stream:
        stream.truncate(600)


def _table(folder: Path, column: str) -> Path:
    lines = [f"{column},patient_id,subtype,split"]
    suffix = ".tif" if column == "slide" else ""
    for number, split in enumerate(SPLITS):
        lines.append(f"s{number}{suffix},P{number},{'AB'[number % 2]},{split}")
    (folder / "cohort.csv").write_text("\n".join(lines))
    return folder / "cohort.csv"


@pytest.fixture
def pixel_job(
    make_slide, tissue_image, train_job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., TrainJob]:
    """Return a function that makes a job on slides of four tiles, none of them kept in memory."""
    monkeypatch.setattr(tiff_backend._cache, "get", BlockCache(0).get)
    for number in range(N_SLIDES):
        image = tissue_image(512, 512, (0, 0, 512, 512)) * [1, 0.6][number % 2]
        make_slide(tmp_path / f"s{number}.tif", image=image.astype(np.uint8))
    table = _table(tmp_path, "slide")

    def make(**overrides: object) -> TrainJob:
        settings = {"training.tile_cache_mib": 0, "training.epochs": 3} | overrides
        return train_job(cohort=table, **settings)

    return make


@pytest.fixture
def feature_job(train_job, tmp_path: Path) -> TrainJob:
    """Return a job on feature files, which are opened anew for each read."""
    rng = np.random.default_rng(0)
    for number in range(N_SLIDES):
        with h5py.File(tmp_path / f"s{number}.h5", "w") as file:
            file["features"] = rng.normal(size=(6, 8)).astype(np.float32) + number % 2
    settings = {
        "features.folder": str(tmp_path),
        "residual.heads": 4,
        "training.tile_cache_mib": 0,
        "training.epochs": 3,
    }
    return train_job(cohort=_table(tmp_path, "slide_id"), **settings)


def run(job: TrainJob, lose: Lose, names: tuple[str, ...], is_due) -> tuple[Result, list[Event]]:
    events: list[Event] = []

    def on_event(event: Event) -> None:
        if is_due(event) and not any(is_due(before) for before in events):
            for name in names:
                lose(job.cohort.with_name(name))
        events.append(event)

    end = run_train(job, on_event, lambda: False)
    assert isinstance(end, Result)
    return end, events


def in_stage(stage: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, Progress) and event.stage == stage


def after_epoch(event: Event) -> bool:
    return isinstance(event, Metric)


def warnings(events: list[Event]) -> list[str]:
    return [
        event.message for event in events if isinstance(event, Log) and event.level == "warning"
    ]


@pytest.mark.parametrize("is_due", [in_stage("Filling the memory bank"), after_epoch])
def test_a_slide_that_breaks_is_left_out_and_told_once(pixel_job, is_due) -> None:
    end, events = run(pixel_job(), cut, ("s1.tif",), is_due)
    assert list(end.skipped) == ["s1.tif"]
    assert "'s1.tif'" in end.skipped["s1.tif"]
    told = [text for text in warnings(events) if "goes on without this slide" in text]
    assert len(told) == 1
    assert told[0].startswith(end.skipped["s1.tif"])
    said = [event.message for event in events if isinstance(event, Log)]
    assert said[-1] == "1 slide could no longer be read: s1.tif."
    assert [event.step for event in events if isinstance(event, Metric)] == [1, 2, 3]


@pytest.mark.parametrize(
    "is_due", [in_stage("Filling the memory bank"), after_epoch], ids=["fill", "steps"]
)
def test_a_feature_file_that_vanishes_is_left_out(feature_job: TrainJob, is_due) -> None:
    end, events = run(feature_job, Path.unlink, ("s2.h5",), is_due)
    assert list(end.skipped) == ["s2.h5"]
    assert sum("goes on without this slide" in text for text in warnings(events)) == 1


def test_held_out_slides_that_break_are_left_out_of_the_figures(pixel_job) -> None:
    end, events = run(pixel_job(), cut, ("s5.tif", "s7.tif"), in_stage("Training"))
    assert list(end.skipped) == ["s5.tif", "s7.tif"]
    assert sum("It is left out." in text for text in warnings(events)) == 2
    text = end.paths["predictions"].read_text()
    assert "s6," in text
    assert "s7," not in text


def test_a_run_ends_where_fewer_than_two_training_slides_are_left(pixel_job) -> None:
    names = tuple(f"s{number}.tif" for number in range(4))
    job = pixel_job()
    with pytest.raises(SlideError, match="fewer than 2 training slides can be read") as told:
        run(job, cut, names, after_epoch)
    assert "dre-slcl resume" in str(told.value)
    assert list(job.run_dir.glob("checkpoints/*"))


def test_a_run_that_lost_a_slide_is_resumed_once_the_file_is_back(pixel_job) -> None:
    job = pixel_job()
    slide = job.cohort.with_name("s1.tif")
    whole, seen = slide.read_bytes(), []

    def on_event(event: Event) -> None:
        if isinstance(event, Metric):
            seen.append(event.step)
            cut(slide)

    assert isinstance(run_train(job, on_event, lambda: 2 in seen), Cancelled)
    again = ResumeJob(run_dir=job.run_dir)
    with pytest.raises(JobError, match=r"cannot go on\. .*s1\.tif.* bring them back"):
        run_resume(again, lambda event: None, lambda: False)
    slide.write_bytes(whole)
    end = run_resume(again, lambda event: None, lambda: False)
    assert isinstance(end, Result)
    assert list(end.skipped) == ["s1.tif"]


def test_refills_and_refreshes_pass_over_a_lost_slide(pixel_job) -> None:
    job = pixel_job(
        **{
            "training.refill_every_epochs": 2,
            "training.refresh_stalest": 0.5,
            "training.ema": 0.5,
            "codebook.refit_after_epoch": 2,
        }
    )
    end, events = run(job, cut, ("s0.tif",), after_epoch)
    assert list(end.skipped) == ["s0.tif"]
    figures = [event.values for event in events if isinstance(event, Metric)]
    assert all(np.isfinite(value) for values in figures for value in values.values())
