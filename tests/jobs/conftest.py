"""A training of seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.cohort.synthetic import generate_cohort
from napari_dre_slcl.jobs.messages import TrainJob


@pytest.fixture(scope="session")
def tiny_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the table of a generated cohort of six slides of 1024 px."""
    return generate_cohort(tmp_path_factory.mktemp("cohort") / "c", n_slides=6, side_px=1024)


@pytest.fixture
def tiny_train(tiny_cohort: Path, tmp_path: Path) -> TrainJob:
    """Return a job that trains a tiny encoder for two epochs."""
    settings = {
        "cohort.tasks": ["cancer"],
        "encoder.name": "test_vit",
        "encoder.input_px": 32,
        "codebook.codewords": 4,
        "codebook.refit_after_epoch": 0,
        "training.epochs": 2,
        "training.fresh_tiles": 2,
        "training.preflight": False,
    }
    return TrainJob(
        cohort=tiny_cohort, run_dir=tmp_path / "run", preset="cpu-small", overrides=settings
    )
