"""Trainings whose slides are shared out over two processes do what one process does."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_dre_slcl.engine.device import processors
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import ConfigError
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

# All that random numbers and gradients pass through.
SETTINGS = {
    "codebook.codewords": 2,
    "codebook.refit_after_epoch": 1,
    "loss.view_weight": 0.3,
    "residual.dropout": 0.3,
    "training.epochs": 2,
    "training.slides_per_batch": 4,
    "training.fresh_tiles": 3,
    "training.lr_encoder": 1e-4,
    "training.lr_rest": 1e-4,
    "training.refresh_stalest": 0.3,
    "training.checkpoint_steps": 1,
    "training.shards": 2,
}
MakeJob = Callable[..., TrainJob]

shares = pytest.mark.skipif(
    sys.platform not in ("linux", "darwin") or processors() < 2, reason="needs two processors"
)


def ignore(_event: Event) -> None:
    """Tell nobody."""


def losses(run_dir: Path) -> np.ndarray:
    with (run_dir / "losses.csv").open() as stream:
        rows = list(csv.reader(stream))
    return np.array([[float(value) for value in row] for row in rows[1:]])


def assert_same(run_dir: Path, expected: Path) -> None:
    np.testing.assert_allclose(losses(run_dir), losses(expected), rtol=1e-5, atol=1e-5)
    path = Path("model") / "model.safetensors"
    weights = load_file(run_dir / path)
    for name, value in load_file(expected / path).items():
        pair = [seen_by_the_loss(name, tensor) for tensor in (weights[name], value)]
        torch.testing.assert_close(*pair, rtol=1e-5, atol=1e-5, msg=name)


def seen_by_the_loss(name: str, weight: torch.Tensor) -> torch.Tensor:
    """Leave out the bias of attention keys.

    The same is added to all logits of a query, so that the loss does not depend on it: its gradient
    is rounding noise, which Adam takes at full length.
    """
    if not name.endswith(("in_proj_bias", "qkv.bias")):
        return weight
    queries, _, values = weight.chunk(3)
    return torch.cat([queries, values])


def stop_after(n_steps: int) -> tuple[Callable[[Event], None], Callable[[], bool]]:
    """Return what listens, and what is true after so many steps."""
    seen = [0]

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "Training":
            seen[0] = event.done

    return listen, lambda: seen[0] >= n_steps


@pytest.fixture(scope="module")
def by_one(job_in: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of a training by one process."""
    job = job_in(tmp_path_factory.mktemp("by_one"), **SETTINGS)
    assert isinstance(run_train(job, ignore, lambda: False), Result)
    return job.run_dir


@shares
def test_two_processes_train_what_one_trains(train_job: MakeJob, by_one: Path) -> None:
    job = train_job(**SETTINGS, **{"training.devices": 2})
    events: list[Event] = []
    assert isinstance(run_train(job, events.append, lambda: False), Result)
    assert any(isinstance(event, Log) and "over 2 processes" in event.message for event in events)
    assert_same(job.run_dir, by_one)
    metrics = [event for event in events if isinstance(event, Metric)]
    assert all("seconds/network" in event.values for event in metrics)
    assert not list(job.run_dir.glob("bank*"))


@shares
def test_a_run_goes_on_with_two_then_one_then_two_processes(
    train_job: MakeJob, by_one: Path
) -> None:
    job = train_job(**SETTINGS, **{"training.devices": 2})
    listen, should_stop = stop_after(1)
    assert isinstance(run_train(job, listen, should_stop), Cancelled)
    listen, should_stop = stop_after(3)
    end = run_resume(ResumeJob(run_dir=job.run_dir, devices=1), listen, should_stop)
    assert isinstance(end, Cancelled)
    end = run_resume(ResumeJob(run_dir=job.run_dir, devices=2), ignore, lambda: False)
    assert isinstance(end, Result)
    assert_same(job.run_dir, by_one)


def test_more_devices_than_the_machine_has_are_refused(train_job: MakeJob) -> None:
    job = train_job(**SETTINGS, **{"training.devices": 256, "training.device": "cpu"})
    with pytest.raises(ConfigError, match=r"training\.devices=256"):
        run_train(job, ignore, lambda: False)
    assert not job.run_dir.exists()
