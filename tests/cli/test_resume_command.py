"""`dre-slcl resume` and `dre-slcl train --pretrain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.jobs.messages import Cancelled, Event, Progress, TrainJob

TINY = {
    "training.epochs": 1,
    "training.fresh_tiles": 2,
    "training.slides_per_batch": 2,
    "encoder.input_px": 32,
    "codebook.codewords": 2,
    "codebook.refit_after_epoch": 0,
    "training.preflight": False,
}


def test_a_cancelled_training_is_resumed_once(
    tiny_cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = TrainJob(cohort=tiny_cohort, run_dir=tmp_path / "run", preset="cpu-small", overrides=TINY)
    stages: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Progress):
            stages.append(event.stage)

    assert isinstance(run_train(job, on_event, lambda: "Training" in stages), Cancelled)
    assert main(["resume", str(job.run_dir)]) == 0
    told = capsys.readouterr()
    assert "goes on after step" in told.err
    assert str(job.run_dir / "model") in told.out.replace("\n", "")
    assert main(["resume", str(job.run_dir)]) == 2
    assert "has ended well" in capsys.readouterr().err.replace("\n", " ")


def test_pretraining_is_an_option(tiny_cohort: Path, tmp_path: Path) -> None:
    settings = [f"{name}={value}" for name, value in TINY.items()]
    options = [part for pair in settings for part in ("--set", pair)]
    where = ["--cohort", str(tiny_cohort), "--run", str(tmp_path / "run")]
    assert main(["train", *where, "--preset", "cpu-small", "--pretrain", "1", *options]) == 0
    lines = (tmp_path / "run" / "events.jsonl").read_text().splitlines()
    metrics = [event for event in map(json.loads, lines) if event["event"] == "metric"]
    assert list(metrics[0]["values"]) == ["loss/pretrain"]
