"""The engine process behind the window: events, cancel, death and end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from napari_dre_slcl.errors import JobError
from napari_dre_slcl.gui.job_runner import JobRunner
from napari_dre_slcl.jobs.messages import Cancelled, Failed, Metric, PredictJob, Progress, Result

LONG = 2000
WAIT_MS = 120_000


class Ear:
    """Remembers what a runner says."""

    def __init__(self, runner: JobRunner) -> None:
        self.events: list[Any] = []
        self.ends: list[Any] = []
        self.threads: set[int] = set()
        runner.progressed.connect(self._hear)
        runner.ended.connect(lambda spec, end: self.ends.append(end))

    def _hear(self, event: Any) -> None:
        self.events.append(event)
        self.threads.add(threading.get_ident())

    def has_metric(self) -> bool:
        return any(isinstance(event, Metric) for event in self.events)


@pytest.fixture
def runner(qapp) -> Iterator[JobRunner]:
    opened = JobRunner()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def warm_runner(qapp) -> Iterator[JobRunner]:
    """One process for the tests after which it must go on, as it does in a window.

    Its start takes longer than all of their jobs.
    """
    opened = JobRunner()
    yield opened
    opened.close()


def status_of(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "status.json").read_text())


def test_two_jobs_run_in_one_process_and_answer_on_the_main_thread(
    qtbot, warm_runner, train_job, slide_path, tmp_path
) -> None:
    runner, ear = warm_runner, Ear(warm_runner)
    job = train_job()
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(job)
        with pytest.raises(JobError, match="running"):
            runner.start(train_job("other"))
    first = runner.process_id
    assert isinstance(ear.ends[0], Result)
    assert [event.step for event in ear.events if isinstance(event, Metric)] == [1, 2]
    assert {"Training"} <= {event.stage for event in ear.events if isinstance(event, Progress)}
    assert ear.threads == {threading.get_ident()}
    assert status_of(job.run_dir)["state"] == "finished"

    predict = PredictJob(model=job.run_dir, slides=(slide_path,), out=tmp_path / "out")
    started = time.monotonic()
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(predict)
    assert runner.process_id == first
    assert time.monotonic() - started < 15
    assert ear.ends[1].paths[slide_path.stem].is_file()


def test_cancel_stops_the_job_and_the_next_one_runs(qtbot, warm_runner, train_job) -> None:
    runner, ear = warm_runner, Ear(warm_runner)
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(train_job("long", epochs=LONG))
        qtbot.waitUntil(ear.has_metric, timeout=WAIT_MS)
        runner.cancel()
    assert isinstance(ear.ends[0], Cancelled)
    assert status_of(train_job("long").run_dir)["state"] == "cancelled"
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(train_job("short"))
    assert isinstance(ear.ends[1], Result)


def test_bad_job_is_told_in_one_sentence(qtbot, warm_runner, train_job) -> None:
    runner, ear = warm_runner, Ear(warm_runner)
    job = train_job().model_copy(update={"cohort": Path("nowhere.csv")})
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(job)
    assert isinstance(ear.ends[0], Failed)
    assert "nowhere.csv" in ear.ends[0].message
    assert not job.run_dir.exists()


def test_death_of_the_process_is_told_and_the_next_job_gets_a_new_one(
    qtbot, runner, train_job
) -> None:
    ear = Ear(runner)
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(train_job("killed", epochs=LONG))
        psutil.Process(runner.process_id).kill()
    assert isinstance(ear.ends[0], Failed)
    assert "ended unexpectedly" in ear.ends[0].message
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(train_job("after"))
    assert isinstance(ear.ends[1], Result)


@pytest.mark.parametrize(("should_keep", "state"), [(True, "finished"), (False, "cancelled")])
def test_close_keeps_or_cancels_the_running_job_and_leaves_no_process(
    qtbot, runner, train_job, should_keep: bool, state: str
) -> None:
    ear = Ear(runner)
    job = train_job(epochs=8 if should_keep else LONG)
    runner.start(job)
    qtbot.waitUntil(ear.has_metric, timeout=WAIT_MS)
    process = psutil.Process(runner.process_id)
    runner.pause()  # a job that is kept goes on: nobody could tell it to later
    qtbot.waitUntil(lambda: status_of(job.run_dir)["state"] == "paused", timeout=WAIT_MS)
    runner.should_keep_job = should_keep
    runner.close()
    assert process.is_running() is should_keep
    process.wait(60)
    assert status_of(job.run_dir)["state"] == state
    assert (job.run_dir / "model").exists() is should_keep
    assert ear.ends == []


def test_cancel_file_in_the_run_folder_stops_the_job(
    qtbot, warm_runner, train_job: Callable[..., Any]
) -> None:
    runner, ear = warm_runner, Ear(warm_runner)
    job = train_job(epochs=LONG)
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS):
        runner.start(job)
        qtbot.waitUntil(ear.has_metric, timeout=WAIT_MS)
        (job.run_dir / "cancel").touch()
    assert isinstance(ear.ends[0], Cancelled)


def test_closed_runner_starts_nothing(runner, train_job) -> None:
    runner.close()
    with pytest.raises(JobError, match="closed"):
        runner.start(train_job())
    assert runner.process_id is None
