"""A cohort is made searchable: whole or not at all, and without doing anything twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.engine.build_index import run_index
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.engine.what_if import run_what_if
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.insight.search import nearest_tiles
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Event,
    IndexJob,
    Log,
    Progress,
    Result,
    TrainJob,
    WhatIfJob,
)
from napari_dre_slcl.results import load_result, save_result


@pytest.fixture(scope="session")
def small_cohort(colour_cohort: Path) -> Path:
    """Return a table of three slides of two patients, the second of which is cut short."""
    lines = colour_cohort.read_text().splitlines()
    broken = colour_cohort.parent / "broken.tif"
    broken.write_bytes((colour_cohort.parent / "s01.tif").read_bytes()[:3000])
    table = colour_cohort.parent / "small.csv"
    rows = [lines[0], lines[1], lines[2].replace("s01.tif", "broken.tif"), lines[5]]
    table.write_text("\n".join(rows) + "\n")
    return table


def _run(job: IndexJob, until: str = "") -> tuple[Result | Cancelled, list[Event]]:
    """Run a job; ``until`` names the slide at which it is cancelled."""
    events: list[Event] = []

    def should_stop() -> bool:
        return any(isinstance(e, Progress) and until and e.message == until for e in events)

    return run_index(job, events.append, should_stop), events


def _encoded(events: list[Event]) -> set[str]:
    return {e.message for e in events if isinstance(e, Progress) and e.stage == "Encoding tiles"}


def test_index_holds_what_the_results_say_and_names_what_cannot_be_read(
    model_dir: Path, small_cohort: Path, tmp_path: Path
) -> None:
    job = IndexJob(model=model_dir, cohort=small_cohort, out=tmp_path / "index", device="cpu")
    end, _ = _run(job)
    assert isinstance(end, Result)
    index = TileIndex.open(end.paths["index"])
    assert list(end.skipped) == ["broken"]
    assert [slide.slide_id for slide in index.slides] == ["s00", "s04"]
    assert end.metrics == {"slides": 2, "tiles": len(index)}
    for number, slide in enumerate(index.slides):
        result = load_result(slide.result)
        np.testing.assert_array_equal(index.rowcol[slide.rows], result.rowcol)
        np.testing.assert_array_equal(index.codeword[slide.rows], result.codeword)
        np.testing.assert_allclose(index.features[slide.rows], result.features, atol=1e-6)
        np.testing.assert_allclose(index.attention[slide.rows].mean(), 1, rtol=1e-4)
        np.testing.assert_allclose(index.slide_vectors[number], result.slide_vector)
    assert index.slides[1].labels["subtype"] == "A"
    assert index.tasks == ("subtype", "TP53")
    assert nearest_tiles(index, index.features[3], 1)[0].number == 3


def test_a_cancelled_index_leaves_its_results_and_goes_on_from_there(
    model_dir: Path, small_cohort: Path, tmp_path: Path
) -> None:
    job = IndexJob(model=model_dir, cohort=small_cohort, out=tmp_path / "index", device="cpu")
    end, _ = _run(job, until="s04")
    assert isinstance(end, Cancelled)
    assert "1 of 3" in end.message
    assert not (job.out / "index.json").exists()
    end, events = _run(job)
    assert isinstance(end, Result)
    assert _encoded(events) == {"s04"}
    _, events = _run(job)
    assert _encoded(events) == set()


def test_a_slide_that_is_predicted_again_is_searched_as_it_is_now(
    model_dir: Path, small_cohort: Path, tmp_path: Path
) -> None:
    job = IndexJob(model=model_dir, cohort=small_cohort, out=tmp_path / "index", device="cpu")
    _run(job)
    first = TileIndex.open(job.out)
    result = load_result(first.slides[1].result)
    assert result.features is not None
    save_result(replace(result, features=result.features[:, ::-1].copy()), first.slides[1].result)
    _, events = _run(job)
    second = TileIndex.open(job.out)
    assert _encoded(events) == set()
    assert [shard.name for shard in second.header.shards] != [
        shard.name for shard in first.header.shards
    ]
    rows = second.slides[1].rows
    expected = result.features[:, ::-1]
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(second.features[rows], expected, atol=1e-6)
    _, events = _run(job)
    said = [event.message for event in events if isinstance(event, Log)]
    assert any("1 of 1 shards of the index are as before" in text for text in said)


def test_a_model_of_features_is_searched_in_feature_files(
    colour_cohort: Path, tmp_path: Path
) -> None:
    from napari_dre_slcl.cohort.feature_store import FeatureOrigin, write_features

    rng = np.random.default_rng(0)
    yx = np.argwhere(np.ones((3, 3), bool)) * 512
    folder = tmp_path / "features"
    folder.mkdir()
    for number in range(12):
        values = rng.standard_normal((9, 8)).astype(np.float32) + number // 2 % 2
        origin = FeatureOrigin("random", "0", 0.5, 256)
        write_features(folder / f"s{number:02}.h5", values, yx, origin, 512, 0.25)
    settings = {"features.folder": str(folder), "training.epochs": 1, "codebook.codewords": 2}
    settings |= {"codebook.refit_after_epoch": 0, "training.preflight": False}
    train = TrainJob(
        cohort=colour_cohort, run_dir=tmp_path / "run", preset="cpu-small", overrides=settings
    )
    assert isinstance(run_train(train, lambda event: None, lambda: False), Result)
    job = IndexJob(model=tmp_path / "run", cohort=colour_cohort, out=tmp_path / "i", device="cpu")
    end, _ = _run(job)
    assert isinstance(end, Result)
    index = TileIndex.open(tmp_path / "i")
    assert len(index) == 12 * 9
    np.testing.assert_allclose(np.linalg.norm(index.features, axis=1), 1, atol=1e-5)
    before = index.slides[0].result.stat().st_mtime_ns
    _run(job)
    assert index.slides[0].result.stat().st_mtime_ns == before
    what_if = WhatIfJob(model=tmp_path / "run", result=index.slides[0].result)
    found = run_what_if(what_if, lambda event: None, lambda: False).metrics
    expected = load_result(index.slides[0].result).predictions[0].probability("B")
    assert found["subtype/B"] == pytest.approx(expected, abs=1e-5)


def test_a_cohort_of_the_other_kind_is_refused(
    model_dir: Path, small_cohort: Path, tmp_path: Path
) -> None:
    job = IndexJob(model=model_dir, cohort=small_cohort, out=tmp_path / "i", features=tmp_path)
    with pytest.raises(ConfigError, match="trained on pixels"):
        _run(job)
