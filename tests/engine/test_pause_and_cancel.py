"""A run that is asked to hold still or to end, and goes on as if nobody had asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from napari_dre_slcl.engine.checkpoint import read_state
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.jobs.messages import (
    PAUSED_STAGE,
    Cancelled,
    Event,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
)
from napari_dre_slcl.jobs.requests import CANCEL_FILE, PAUSE_FILE, Requests
from napari_dre_slcl.jobs.worker import run_job

MakeJob = Callable[..., TrainJob]
SHORT = {"training.epochs": 2, "codebook.refit_after_epoch": 0}
PATIENCE_S = 60.0


def outcome(run_dir: Path) -> list[bytes]:
    return [(run_dir / name).read_bytes() for name in ("losses.csv", "model/model.safetensors")]


def status(run_dir: Path) -> dict[str, object]:
    return json.loads((run_dir / "status.json").read_text())


@pytest.fixture(scope="module")
def whole(job_in: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What a run leaves that nobody interferes with."""
    job = job_in(tmp_path_factory.mktemp("whole"), **SHORT)
    assert isinstance(run_job(job, lambda event: None), Result)
    return outcome(job.run_dir)


@pytest.fixture
def asked_run(train_job: MakeJob) -> Iterator[Callable[..., tuple[TrainJob, threading.Thread]]]:
    """Return start(ask): a run in a thread that asks something at its third step."""
    threads = []

    def start(ask: Callable[[Path], None], requests: Requests, ends: list) -> TrainJob:
        job = train_job("asked", **SHORT)

        def on_event(event: Event) -> None:
            if isinstance(event, Progress) and (event.stage, event.done) == ("Training", 2):
                ask(job.run_dir)

        thread = threading.Thread(target=lambda: ends.append(run_job(job, on_event, requests)))
        threads.append(thread)
        thread.start()
        return job

    yield start
    for thread in threads:
        thread.join(PATIENCE_S)


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_paused_run_holds_still_with_a_checkpoint_and_goes_on_alike(
    asked_run, whole: list[bytes]
) -> None:
    requests, ends, asked = Requests(), [], []

    def ask(run_dir: Path) -> None:
        if not asked:
            asked.append(run_dir)
            (run_dir / PAUSE_FILE).touch()

    job = asked_run(ask, requests, ends)
    wait_for(lambda: (job.run_dir / "status.json").exists())
    wait_for(lambda: status(job.run_dir)["state"] == "paused")
    assert status(job.run_dir)["is_resumable"]
    assert "SIGUSR2" in str(status(job.run_dir)["message"])
    assert [path.name for path in job.run_dir.glob("checkpoints/*")] == ["step-00000002"]
    written = (job.run_dir / "losses.csv").stat().st_mtime_ns
    time.sleep(0.3)
    assert (job.run_dir / "losses.csv").stat().st_mtime_ns == written
    requests.go_on()  # takes the file away as well
    wait_for(lambda: bool(ends))
    assert isinstance(ends[0], Result)
    assert outcome(job.run_dir) == whole


@pytest.mark.parametrize("how", ["file", "while paused"])
def test_a_cancelled_run_writes_a_checkpoint_and_goes_on_alike(
    asked_run, whole: list[bytes], how: str
) -> None:
    requests, ends = Requests(), []

    def ask(run_dir: Path) -> None:
        if how == "while paused":
            requests.pause()
            threading.Timer(0.3, requests.stop).start()
        else:
            (run_dir / CANCEL_FILE).touch()

    job = asked_run(ask, requests, ends)
    wait_for(lambda: bool(ends))
    assert ends == [Cancelled(message=f"Cancelled. Go on with 'dre-slcl resume {job.run_dir}'.")]
    assert status(job.run_dir)["state"] == "cancelled"
    assert status(job.run_dir)["is_resumable"]
    assert not (job.run_dir / CANCEL_FILE).exists()
    assert [path.name for path in job.run_dir.glob("checkpoints/*")] == ["step-00000002"]
    assert isinstance(run_job(ResumeJob(run_dir=job.run_dir), lambda event: None), Result)
    assert outcome(job.run_dir) == whole


def test_a_run_cancelled_where_it_cannot_stop_keeps_all_its_steps(train_job: MakeJob) -> None:
    job = train_job("stalest", **SHORT, **{"training.refresh_stalest": 0.5})
    seen: list[str] = []

    def on_event(event: Event) -> None:
        seen.append(event.stage if isinstance(event, Progress) else "")

    requests = Requests()
    requests.should_stop = lambda: seen[-1:] == ["Refreshing the stalest tiles"]
    assert isinstance(run_job(job, on_event, requests), Cancelled)
    steps = (job.run_dir / "losses.csv").read_text().splitlines()[1:]
    state = read_state(job.run_dir)
    assert state is not None
    assert state.step == len(steps) > 0


def test_a_job_saves_before_it_holds_still_and_says_so() -> None:
    said: list[str] = []
    answers = iter([True, True, False])

    def on_event(event: Event) -> None:
        assert isinstance(event, Progress)
        said.append(event.stage)

    reporter = Reporter(on_event, lambda: False, lambda: next(answers))
    with reporter.saving(lambda: said.append("saved")):
        reporter.progress("Training", 1, 2)
    assert said == ["Training", "saved", PAUSED_STAGE, "Training"]


def test_a_job_saves_before_it_stops_but_not_where_it_cannot() -> None:
    saved: list[int] = []
    reporter = Reporter(lambda event: None, lambda: True)
    with reporter.saving(lambda: saved.append(1)), pytest.raises(Stopped):
        reporter.progress("Training", 1, 2)
    with (
        reporter.saving(lambda: saved.append(2)),
        reporter.saving(None),
        pytest.raises(Stopped),
    ):
        reporter.progress("Refreshing", 1, 2)
    assert saved == [1]
