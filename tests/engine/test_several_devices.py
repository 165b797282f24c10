"""Trainings whose tiles are shared out over two processes, and processes that are killed."""

from __future__ import annotations

import csv
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_dre_slcl.engine.device import processors
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.jobs.messages import Event, Log, Progress, Result, ResumeJob, TrainJob

# What random numbers and gradients pass through.
SETTINGS = {
    "codebook.codewords": 2,
    "codebook.refit_after_epoch": 1,
    "residual.dropout": 0.1,
    "training.epochs": 2,
    "training.slides_per_batch": 4,
    "training.fresh_tiles": 3,
    "training.lr_encoder": 1e-3,
    "training.lr_rest": 1e-3,
    "training.refresh_stalest": 0.3,
    "training.checkpoint_steps": 1,
}
LONGEST_S = 30.0
MakeJob = Callable[..., TrainJob]

shares = pytest.mark.skipif(
    sys.platform != "linux" or processors() < 2,
    reason="needs two processors, and /proc to find the other process",
)


def children(parent: int) -> list[int]:
    """Return the processes that encode tiles for another."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            of, line = (folder / "stat").read_text(), (folder / "cmdline").read_text()
        except OSError:
            continue
        if int(of.rsplit(")", 1)[1].split()[1]) == parent and "crew_member" in line:
            found.append(int(folder.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def is_in_training(event: Event) -> bool:
    return isinstance(event, Progress) and event.stage == "Training" and event.done >= 2


def losses(run_dir: Path) -> np.ndarray:
    with (run_dir / "losses.csv").open() as stream:
        rows = list(csv.reader(stream))
    return np.array([[float(value) for value in row] for row in rows[1:]])


@pytest.fixture(scope="module")
def by_one(job_in: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run folder of a training by one process."""
    job = job_in(tmp_path_factory.mktemp("by_one"), **SETTINGS)
    assert isinstance(run_train(job, lambda event: None, lambda: False), Result)
    return job.run_dir


@shares
def test_two_processes_train_what_one_trains(train_job: MakeJob, by_one: Path) -> None:
    job = train_job(**SETTINGS, **{"training.devices": 2})
    events: list[Event] = []
    assert isinstance(run_train(job, events.append, lambda: False), Result)
    assert any(isinstance(event, Log) and "over 2 processes" in event.message for event in events)
    np.testing.assert_allclose(losses(job.run_dir), losses(by_one), rtol=1e-4)
    path = Path("model") / "model.safetensors"
    weights = load_file(job.run_dir / path)
    for name, expected in load_file(by_one / path).items():
        torch.testing.assert_close(weights[name], expected, rtol=1e-3, atol=1e-4, msg=name)
    assert not children(os.getpid())


@shares
def test_a_killed_process_ends_the_run_with_a_sentence_and_one_device_goes_on(
    train_job: MakeJob, by_one: Path
) -> None:
    job = train_job(**SETTINGS, **{"training.devices": 2})
    killed_at = 0.0

    def kill(event: Event) -> None:
        nonlocal killed_at
        if is_in_training(event) and not killed_at:
            (child,) = children(os.getpid())
            os.kill(child, signal.SIGKILL)
            killed_at = time.monotonic()

    with pytest.raises(JobError, match=r"Process 2 of the 2 .*killed by signal 9.*--devices 1"):
        run_train(job, kill, lambda: False)
    assert time.monotonic() - killed_at < 5
    resume = ResumeJob(run_dir=job.run_dir, devices=1)
    assert isinstance(run_resume(resume, lambda event: None, lambda: False), Result)
    np.testing.assert_allclose(losses(job.run_dir), losses(by_one), rtol=1e-4)


@shares
def test_a_killed_training_leaves_no_process_behind(train_job: MakeJob, tmp_path: Path) -> None:
    job, note = train_job(**SETTINGS, **{"training.devices": 2}), tmp_path / "pid"

    def kill_itself(event: Event) -> None:
        if is_in_training(event):
            note.write_text(str(children(os.getpid())[0]))
            os.kill(os.getpid(), signal.SIGKILL)

    training = os.fork()
    if not training:
        run_train(job, kill_itself, lambda: False)
        os._exit(0)
    _, status = os.waitpid(training, 0)
    assert os.WIFSIGNALED(status)
    until = time.monotonic() + LONGEST_S
    while is_running(int(note.read_text())) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_running(int(note.read_text()))


def test_more_devices_than_the_machine_has_are_refused(train_job: MakeJob) -> None:
    job = train_job(**SETTINGS, **{"training.devices": 256, "training.device": "cpu"})
    with pytest.raises(ConfigError, match=r"training\.devices=256"):
        run_train(job, lambda event: None, lambda: False)
    assert not job.run_dir.exists()
