"""Slides with tiles that cannot be decoded: what is still done with them, and what is told."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl import open_slide, predict
from napari_dre_slcl.engine.device import processors
from napari_dre_slcl.engine.predict import run_predict
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.jobs.messages import Log, PredictJob, Result, TrainJob
from napari_dre_slcl.results import load_result

WriteSlide = Callable[..., Path]


@pytest.fixture(scope="session")
def write_damaged(
    make_slide: WriteSlide,
    tissue_image: Callable[..., np.ndarray],
    damage_tiles: Callable[..., Path],
) -> WriteSlide:
    """Return write(path, damaged=(), dark=1.0): a slide of 4x6 tiles, all of it tissue.

    Only the level that the encoder reads is damaged: tissue is found at a coarser, focus judged
    at a finer one. Its file tile 0 holds 4x4 of our tiles, file tile 1 the 4x2 to the right.
    """

    def write(path: Path, damaged: Sequence[int] = (), dark: float = 1.0) -> Path:
        image = tissue_image(1024, 1536, (0, 0, 1024, 1536)) * dark
        make_slide(path, image=image.astype(np.uint8), levels=3)
        return damage_tiles(path, damaged, level=1)

    return write


def _warnings(events: list) -> list[str]:
    return [event.message for event in events if isinstance(event, Log) and event.level != "info"]


def _predict(model_dir: Path, out: Path, *slides: Path) -> tuple[Result, list[str]]:
    events: list = []
    job = PredictJob(model=model_dir, slides=slides, out=out, device="cpu")
    result = run_predict(job, events.append, lambda: False)
    assert isinstance(result, Result)
    return result, _warnings(events)


def test_prediction_goes_on_with_white_tiles_and_tells_each_time(
    model_dir: Path, tmp_path: Path, write_damaged: WriteSlide
) -> None:
    path = write_damaged(tmp_path / "hurt.tif", [1])
    told = (
        "Slide 'hurt.tif': 8 of 24 tiles cannot be decoded and were read as white; "
        "copy the file again from its source."
    )
    result, first = _predict(model_dir, tmp_path / "out", path)
    _, again = _predict(model_dir, tmp_path / "out", path)
    assert first == again == [told]
    saved = load_result(result.paths["hurt"])
    assert saved.provenance["damaged"] == told
    # White tiles look alike to the model, tissue does not.
    is_damaged = saved.rowcol[:, 1] >= 4
    assert saved.residual_norm[is_damaged].std() < 1e-5 < saved.residual_norm[~is_damaged].std()
    with open_slide(path) as slide, pytest.warns(UserWarning, match="8 of 24 tiles"):
        predict(model_dir, slide, device="cpu")


def test_tiles_found_damaged_while_tissue_is_looked_for_are_told_of(
    model_dir: Path, tmp_path: Path, make_slide: WriteSlide, tissue_image, damage_tiles
) -> None:
    image = tissue_image(1024, 1536, (0, 0, 1024, 1536))
    path = damage_tiles(make_slide(tmp_path / "hurt.tif", image=image, levels=3), [7, 8])
    result, told = _predict(model_dir, tmp_path / "out", path)
    (sentence,) = told
    assert sentence.startswith(
        "Slide 'hurt.tif': 2 of 24 tiles cannot be decoded and were left out;"
    )
    rowcol = load_result(result.paths["hurt"]).rowcol.tolist()
    assert len(rowcol) == 22
    assert [1, 1] not in rowcol
    assert [1, 2] not in rowcol


def test_whole_slide_is_predicted_without_a_warning(
    model_dir: Path, tmp_path: Path, write_damaged: WriteSlide
) -> None:
    path = write_damaged(tmp_path / "whole.tif")
    result, told = _predict(model_dir, tmp_path / "out", path)
    assert told == []
    assert "damaged" not in load_result(result.paths["whole"]).provenance
    with open_slide(path) as slide, warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(model_dir, slide, device="cpu")


def test_slide_that_is_mostly_damaged_is_left_out(
    model_dir: Path, tmp_path: Path, write_damaged: WriteSlide
) -> None:
    wreck = write_damaged(tmp_path / "wreck.tif", [0])
    good = write_damaged(tmp_path / "good.tif")
    result, told = _predict(model_dir, tmp_path / "out", wreck, good)
    assert list(result.paths) == ["good"]
    assert "16 of 24 tiles cannot be decoded, too many" in result.skipped[str(wreck)]
    assert told == [result.skipped[str(wreck)]]
    with pytest.raises(DamagedSlideError, match=r"'wreck.tif': 16 of 24 tiles"):
        _predict(model_dir, tmp_path / "out", wreck)


@pytest.mark.parametrize(
    "devices",
    [
        1,
        pytest.param(
            2,
            marks=pytest.mark.skipif(
                sys.platform not in ("linux", "darwin") or processors() < 2,
                reason="needs two processors",
            ),
        ),
    ],
)
def test_training_tells_once_of_each_damaged_slide(
    devices: int, tmp_path: Path, write_damaged: WriteSlide, train_job: Callable[..., TrainJob]
) -> None:
    lines = ["slide,patient_id,subtype,split"]
    for number in range(6):
        split = "test" if number > 3 else "train"
        # s3 is another process's, where there are two
        damaged = [1] if number in (3, 5) else []
        write_damaged(tmp_path / f"s{number}.tif", damaged, dark=[1, 0.6][number % 2])
        lines.append(f"s{number}.tif,P{number},{'AB'[number % 2]},{split}")
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    changes = {"training.epochs": 2, "training.refill_every_epochs": 1}
    changes |= {"training.device": "cpu", "training.devices": devices}
    job = train_job(cohort=table, **changes)
    events: list = []
    assert isinstance(run_train(job, events.append, lambda: False), Result)
    told = [text.split(" cannot")[0] for text in _warnings(events) if "decoded" in text]
    assert told == ["Slide 's3.tif': 8 of 24 tiles", "Slide 's5.tif': 8 of 24 tiles"]
