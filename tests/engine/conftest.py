"""A cohort that can be learned in seconds: pink against purple tissue, two slides a patient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.jobs.messages import Result, TrainJob

FAST = {
    "encoder.name": "test_vit",
    "encoder.input_px": 32,
    "codebook.codewords": 3,
    "codebook.refit_after_epoch": 2,
    "training.epochs": 6,
    "training.fresh_tiles": 3,
    "training.bank_tiles": None,
    "training.slides_per_batch": 4,
    "training.lr_encoder": 3e-3,
    "training.lr_rest": 3e-3,
    "training.preflight": False,
}


@pytest.fixture(scope="session")
def colour_cohort(
    tmp_path_factory: pytest.TempPathFactory,
    make_slide: Callable[..., Path],
    tissue_image: Callable[..., np.ndarray],
) -> Path:
    """Twelve slides of six patients; the tissue of class 'B' is darker."""
    folder = tmp_path_factory.mktemp("colour_cohort")
    lines = ["slide,patient_id,subtype,TP53,report"]
    for number in range(12):
        image = tissue_image(768, 1024, (0, 0, 512, 768)).astype(float)
        is_dark = number // 2 % 2
        image[:512, :768] *= 0.6 if is_dark else 1.0
        image[:512, :768] -= number
        make_slide(folder / f"s{number:02}.tif", image=image.clip(0, 255).astype(np.uint8))
        words = ["dark dense tumour", "pale glandular tumour"][1 - is_dark]
        words += [" beside vessels", " among lymphocytes"][number % 2]  # one of each patient
        mutation = "" if number == 3 else str(is_dark)
        lines.append(f"s{number:02}.tif,P{number // 2},{'AB'[is_dark]},{mutation},{words} {number}")
    table = folder / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


@pytest.fixture(scope="session")
def job_in(colour_cohort: Path) -> Callable[..., TrainJob]:
    """Return a function that makes a job: job_in(folder, "run", **{"training.seed": 1})."""

    def make(
        folder: Path, run: str = "run", cohort: Path = colour_cohort, **overrides: object
    ) -> TrainJob:
        return TrainJob(
            cohort=cohort, run_dir=folder / run, preset="cpu-small", overrides=FAST | overrides
        )

    return make


@pytest.fixture
def train_job(job_in: Callable[..., TrainJob], tmp_path: Path) -> Callable[..., TrainJob]:
    """Return `job_in` the test's own folder: train_job("run", **{"training.seed": 1})."""
    return partial(job_in, tmp_path)


@pytest.fixture(scope="session")
def model_dir(colour_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of a model trained for one epoch."""
    run_dir = tmp_path_factory.mktemp("model") / "run"
    job = TrainJob(
        cohort=colour_cohort,
        run_dir=run_dir,
        preset="cpu-small",
        overrides=FAST | {"training.epochs": 1, "codebook.refit_after_epoch": 0},
    )
    assert isinstance(run_train(job, lambda event: None, lambda: False), Result)
    return run_dir
