"""A training on two processes of which one is killed: the other ends, and the run goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Event, Log, Progress, ResumeJob, TrainJob

MakeJob = Callable[..., TrainJob]
SMALL = {"training.device": "cpu", "training.devices": 2, "training.epochs": 3}
WITHIN_S = 30

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


def children_of(parent: int) -> list[int]:
    """Return the processes of a training that another one has started."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            of = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(of[1]) == parent and b"engine.rank" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def command_of(job: TrainJob, *more: str) -> list[str]:
    command = [sys.executable, "-m", "napari_dre_slcl", "train", "--json", *more]
    command += ["--cohort", str(job.cohort), "--run", str(job.run_dir), "--preset", job.preset]
    for name, value in job.overrides.items():
        if value is not None:
            command += ["--set", f"{name}={value}"]
    return command


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_run_of_a_process_that_was_killed_goes_on(train_job: MakeJob) -> None:
    job, variables, threads = train_job(**SMALL), dict(os.environ), torch.get_num_threads()
    killed: list[float] = []

    def kill_in_training(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "Training" and event.done == 2:
            for pid in children_of(os.getpid()):
                os.kill(pid, signal.SIGKILL)
                killed.append(time.monotonic())

    message = (
        r"Process 2 of 2 \(on .*\) has ended \(killed by signal 9, .*\), so training stopped\. "
        r"Go on from the last checkpoint with 'dre-slcl resume .*run'\."
    )
    with pytest.raises(JobError, match=message):
        run_train(job, kill_in_training, lambda: False)
    assert len(killed) == 1
    assert time.monotonic() - killed[0] < WITHIN_S
    assert children_of(os.getpid()) == []
    assert dict(os.environ) == variables
    assert torch.get_num_threads() == threads
    assert not torch.distributed.is_initialized()

    events: list[Event] = []
    resume = ResumeJob(run_dir=job.run_dir, devices=1)
    run_resume(resume, events.append, lambda: False)
    said = " ".join(event.message for event in events if isinstance(event, Log))
    assert "goes on after step" in said
    assert (job.run_dir / "metrics.json").is_file()


def test_what_fails_in_the_first_process_is_told_as_its_own(train_job: MakeJob) -> None:
    job = train_job(**SMALL)
    job.run_dir.parent.joinpath("file").write_text("in the way")
    job = job.model_copy(update={"run_dir": job.run_dir.parent / "file" / "run"})
    with pytest.raises(JobError, match=r"^The run folder '.*' cannot be written: Not a directory"):
        run_train(job, lambda _event: None, lambda: False)


def test_all_end_with_the_first_process(train_job: MakeJob, free_port: int) -> None:
    job = train_job(**SMALL | {"training.devices": 1, "training.epochs": 10_000})
    started = [
        subprocess.Popen(
            command_of(job, "--nodes", "2"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port), "NODE_RANK": str(node)},
        )
        for node in range(2)
    ]
    first, other = started
    assert first.stdout is not None
    for line in first.stdout:
        event = json.loads(line)
        if event.get("stage") == "Training" and event["done"] >= 1:
            break
    first.kill()
    shown, said = other.communicate(timeout=WITHIN_S)
    first.communicate()
    assert other.returncode == 1
    assert shown == b""
    assert said.decode().startswith("Error: Process 1 of 2 (on ")
    assert said.count(b"\n") == 1
    assert b"has ended, so training stopped. Go on from the last checkpoint with" in said


def test_a_second_ctrl_c_ends_a_training_that_waits_for_a_process_that_stands_still(
    train_job: MakeJob,
) -> None:
    job = train_job(**SMALL | {"training.epochs": 10_000})
    with subprocess.Popen(command_of(job), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stderr is not None
        for line in first.stdout:
            event = json.loads(line)
            if event.get("stage") == "Training" and event["done"] >= 1:
                break
        (other,) = children_of(first.pid)
        os.kill(other, signal.SIGSTOP)
        try:
            time.sleep(1)
            for _ in range(2):
                first.send_signal(signal.SIGINT)
                time.sleep(0.5)
            first.wait(timeout=WITHIN_S)
        finally:
            os.kill(other, signal.SIGKILL)
        said = first.stderr.read().decode()
    assert "Stopped at once, while others did not answer. Go on from the last checkpoint" in said
    assert "Traceback" not in said
