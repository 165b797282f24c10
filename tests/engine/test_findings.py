"""A doubtful pixel size is told before anything rests on it, once, and not where all is well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.engine.predict import run_predict
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.jobs.messages import Log, PredictJob, Result, TrainJob
from napari_dre_slcl.results import load_result
from napari_dre_slcl.slide.mpp_table import remember_mpp


def _warnings(events: list) -> list[str]:
    return [event.message for event in events if isinstance(event, Log) and event.level != "info"]


def test_training_tells_once_that_the_cohort_tables_sizes_contradict_the_files(
    train_job: Callable[..., TrainJob], colour_cohort: Path, tmp_path: Path
) -> None:
    header, *rows = colour_cohort.read_text(encoding="utf-8").splitlines()
    rows = [f"{colour_cohort.parent / row},0.4" for row in rows]
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join([f"{header},mpp", *rows]), encoding="utf-8")
    events: list = []
    job = train_job(cohort=table, **{"training.epochs": 1, "codebook.refit_after_epoch": 0})
    assert isinstance(run_train(job, events.append, lambda: False), Result)
    (warning,) = _warnings(events)
    assert warning.startswith("Slide 's00.tif': the 0.4 µm of the cohort table contradicts")
    assert (
        "11 more slides of this job: s01.tif, s02.tif, s03.tif, s04.tif, s05.tif and 6" in warning
    )
    first = next(n for n, event in enumerate(events) if getattr(event, "stage", "") == "Training")
    assert events.index(next(e for e in events if getattr(e, "message", "") == warning)) < first
    result = load_result(next((job.run_dir / "results").iterdir()))
    assert (result.mpp, result.mpp_source) == (0.4, "cohort table")


def test_prediction_tells_of_a_doubtful_size_and_is_silent_about_a_sound_one(
    model_dir: Path, make_slide: Callable[..., Path], tmp_path: Path
) -> None:
    doubtful = make_slide(tmp_path / "doubtful.svs", mpp=0.25, header="aperio")
    sound = make_slide(tmp_path / "sound.svs", mpp=0.5, header="aperio")
    events: list = []
    job = PredictJob(model=model_dir, slides=(doubtful, sound), out=tmp_path / "out", device="cpu")
    assert isinstance(run_predict(job, events.append, lambda: False), Result)
    (warning,) = _warnings(events)
    assert "'doubtful.svs': the 0.25 µm of aperio.MPP does not fit the 20x objective" in warning


def test_prediction_uses_a_stored_answer_and_without_one_says_the_three_ways(
    model_dir: Path, make_slide: Callable[..., Path], tmp_path: Path
) -> None:
    plain = make_slide(tmp_path / "plain.tif", mpp=None)
    job = PredictJob(model=model_dir, slides=(plain,), out=tmp_path / "out", device="cpu")
    with pytest.raises(SlideError, match=r"--mpp.*mpp column.*Slide tab"):
        run_predict(job, lambda event: None, lambda: False)
    remember_mpp(plain, 0.5)
    events: list = []
    end = run_predict(job, events.append, lambda: False)
    assert isinstance(end, Result)
    result = load_result(end.paths["plain"])
    assert (result.mpp, result.mpp_source) == (0.5, "stored answer")
    assert _warnings(events) == []
