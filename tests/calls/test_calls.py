"""The jobs as plain calls: on feature files, so that a model costs a fifth of a second."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_dre_slcl import (
    DreSlclClassifier,
    TileIndex,
    embed_slides,
    evaluate,
    load_result,
    nearest_slides,
    predict_slides,
    resume,
    run_job,
    search_index,
    train,
)
from napari_dre_slcl.calls.listening import warn_of
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.jobs.messages import EstimateJob, Event, Log, Progress


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a cohort of twelve feature files, and a model of them."""
    folder = tmp_path_factory.mktemp("calls")
    rng = np.random.default_rng(0)
    lines, bags, labels = ["slide_id,patient_id,features,subtype"], [], []
    for number in range(12):
        label = ("LUAD", "LUSC")[number % 2]
        bag = rng.normal(size=(6, 8)) + (2 if label == "LUSC" else -2)
        corners = np.stack([np.arange(6), np.zeros(6)], axis=1) * 256
        with h5py.File(folder / f"s{number}.h5", "w") as file:
            file["features"] = bag.astype(np.float32)
            file["coords"] = corners.astype(np.int64)
            file["coords"].attrs["patch_size_level0"] = 256
        lines.append(f"s{number},P{number // 2},s{number}.h5,{label}")
        bags.append(bag)
        labels.append(label)
    (folder / "cohort.csv").write_text("\n".join(lines), encoding="utf-8")
    quick = DreSlclClassifier(
        codewords=2, epochs=3, least_steps=0, adapter_width=16, random_state=0
    )
    quick.fit(bags, labels).save_model(folder / "model", task="subtype")
    return folder


def test_a_training_leaves_the_run_folder_that_the_window_knows(home: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    settings = {"method": "mean-pool", "cohort.tasks": "subtype"}

    done = train(home / "cohort.csv", tmp_path / "run", settings=settings, on_event=heard.append)

    assert done.paths["model"].is_dir()
    assert 0 <= done.metrics["test/auc/subtype"] <= 1
    assert {"status.json", "events.jsonl"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert any(isinstance(event, Progress) for event in heard)


def test_slides_are_predicted_embedded_and_found_again(home: Path, tmp_path: Path) -> None:
    model, cohort = home / "model", home / "cohort.csv"

    done = predict_slides(model, tmp_path / "results", slides=[home / "s0.h5"])
    ids, vectors = embed_slides(model, cohort, tmp_path / "vectors.npz")
    index = search_index(model, cohort, tmp_path / "index")

    result = load_result(done.paths["s0"])
    assert ids == [f"s{number}" for number in range(12)]
    np.testing.assert_allclose(vectors[0], result.slide_vector, atol=1e-6)
    assert nearest_slides(index, vectors[0], n=1)[0].slide.slide_id == "s0"
    assert len(TileIndex.open(tmp_path / "index")) == 72


def test_an_evaluation_tells_mean_and_spread(home: Path, tmp_path: Path) -> None:
    found = evaluate(
        home / "cohort.csv", tmp_path / "out", "mean-pool", tasks=["subtype"], n_folds=2
    )

    assert {"mean", "std"} <= found.metrics["tasks"]["subtype"]["scores"]["auc"].keys()
    assert found.paths["page"].is_file()


def test_what_fails_is_raised_as_a_sentence(home: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"no\.csv"):
        train(tmp_path / "no.csv", tmp_path / "run")
    with pytest.raises(JobError, match="no run folder"):
        resume(tmp_path / "run")
    with pytest.raises(ConfigError, match="no method 'best'"):
        evaluate(home / "cohort.csv", tmp_path / "out", "best")
    assert not (tmp_path / "run").exists()


def test_ctrl_c_ends_a_job_at_a_safe_place(home: Path, tmp_path: Path) -> None:
    handler = signal.getsignal(signal.SIGINT)
    job = EstimateJob(cohort=home / "cohort.csv", run_dir=tmp_path / "run")

    asked: list[Event] = []

    def press(event: Event) -> None:
        if not asked:  # a second one would end this process
            os.kill(os.getpid(), signal.SIGINT)
        asked.append(event)

    with pytest.raises(KeyboardInterrupt):
        run_job(job, press)

    assert signal.getsignal(signal.SIGINT) is handler


def test_a_warning_points_at_the_line_that_called() -> None:
    reporter = Reporter(warn_of, lambda: False)

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        reporter.log("one class only", "warning")
        warn_of(Log(message="all is well"))

    assert [(str(one.message), one.filename) for one in heard] == [("one class only", __file__)]
