"""A run is followed by its folder: its events, where it stands, and what it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.follow import EventTail
from napari_dre_slcl.jobs.known_runs import forget_run, known_runs, remember_run
from napari_dre_slcl.jobs.messages import Log, Metric, Progress, TrainJob, event_line
from napari_dre_slcl.jobs.requests import Requests
from napari_dre_slcl.jobs.run_status import ask_run, read_status
from napari_dre_slcl.jobs.run_summary import age_text, state_text, summarise_run
from napari_dre_slcl.locks.lock_file import RUN_LOCK, hold

WAIT_S = 120
METRIC = Metric(step=3, values={"loss": 0.5, "val/auc/cancer": 0.9})


def write_events(run_dir: Path, *events: Any) -> None:
    with (run_dir / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.writelines(event_line(event) + "\n" for event in events)


def write_status(run_dir: Path, **facts: Any) -> None:
    (run_dir / "status.json").write_text(json.dumps(facts))


@pytest.fixture
def dead_pid() -> int:
    """Return the number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_tail_gives_each_event_once_and_waits_for_whole_lines(tmp_path: Path) -> None:
    tail = EventTail(tmp_path)
    assert tail.read() == []  # there is no file yet
    first, second = Log(message="µ one"), Log(message="two")
    write_events(tmp_path, first)
    with (tmp_path / "events.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(event_line(second)[:10])
        stream.flush()
        assert tail.read() == [first]
        assert tail.read() == []
        stream.write(event_line(second)[10:] + "\n")
    assert tail.read() == [second]


def test_a_tail_passes_over_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "of a later version"}\nnoise\n\n')
    write_events(tmp_path, METRIC)
    assert EventTail(tmp_path).read() == [METRIC]


def test_a_tail_begins_near_the_end_where_that_is_enough(tmp_path: Path) -> None:
    write_events(tmp_path, *(Log(message=f"line {number}") for number in range(1000)))
    assert len(EventTail(tmp_path).read()) == 1000
    last = EventTail(tmp_path, last_bytes=500).read()
    assert 1 < len(last) < 20
    assert last[-1].message == "line 999"


def test_a_file_that_was_begun_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    tail = EventTail(tmp_path)
    write_events(tmp_path, *(Log(message="old") for _ in range(9)))
    tail.read()
    (tmp_path / "events.jsonl").unlink()
    write_events(tmp_path, METRIC)
    assert tail.read() == [METRIC]


def test_a_run_whose_process_is_gone_has_ended_unexpectedly(tmp_path: Path, dead_pid: int) -> None:
    (tmp_path / "config.toml").touch()
    (tmp_path / ".lock").touch()
    write_status(tmp_path, state="running", pid=dead_pid, is_resumable=True)
    status = read_status(tmp_path)
    assert (status.state, status.is_active, status.is_resumable) == ("lost", False, True)
    # The number of the process may belong to another one by now.
    write_status(tmp_path, state="paused", pid=os.getpid())
    assert read_status(tmp_path).state == "lost"


def test_a_run_that_holds_its_lock_is_under_way(tmp_path: Path, dead_pid: int) -> None:
    write_status(tmp_path, state="running", pid=dead_pid)
    with hold(tmp_path / RUN_LOCK, keeps_if_stopped=True):
        status = read_status(tmp_path)
    assert status.state == "running"
    assert f"process {os.getpid()} on " in str(status.holder)
    assert ", since 20" in str(status.holder)


def test_a_run_of_another_machine_that_is_silent_has_ended_unexpectedly(tmp_path: Path) -> None:
    write_status(tmp_path, state="running", pid=1, host="elsewhere")
    lock = tmp_path / RUN_LOCK
    lock.write_text('{"host": "elsewhere 1", "pid": 7, "started": "1", "token": "t"}')
    status = read_status(tmp_path)
    assert (status.state, str(status.holder)) == ("running", "process 7 on elsewhere")
    os.utime(lock, (time.time() - 3600, time.time() - 3600))
    assert read_status(tmp_path).state == "lost"


def test_a_run_of_another_machine_is_believed(tmp_path: Path, dead_pid: int) -> None:
    write_status(tmp_path, state="running", pid=dead_pid, host="elsewhere")
    status = read_status(tmp_path)
    assert (status.state, status.host) == ("running", "elsewhere")


@pytest.mark.parametrize("text", ["", "[]", '{"state": 3}', "{"])
def test_a_broken_status_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    assert read_status(tmp_path).state == "unknown"


def test_wishes_reach_a_job_by_its_folder(tmp_path: Path) -> None:
    requests = Requests()
    requests.watch(tmp_path)
    ask_run(tmp_path, "pause")
    assert requests.should_pause()
    ask_run(tmp_path, "continue")
    assert not requests.should_pause()
    requests.pause()  # by its own window, which then dies
    ask_run(tmp_path, "continue")
    assert not requests.should_pause()
    ask_run(tmp_path, "cancel")
    assert requests.should_stop()
    with pytest.raises(JobError, match="cannot be written"):
        ask_run(tmp_path / "gone", "pause")


def test_a_pause_before_the_folder_is_known_holds_there_too(tmp_path: Path) -> None:
    requests = Requests()
    requests.pause()
    requests.watch(tmp_path)
    assert requests.should_pause()
    ask_run(tmp_path, "continue")
    assert not requests.should_pause()


def test_a_summary_says_how_far_a_run_is(tmp_path: Path) -> None:
    write_status(tmp_path, state="running", pid=1, host="elsewhere")
    (tmp_path / "job.json").write_text(
        TrainJob(
            cohort=tmp_path / "c.csv", run_dir=tmp_path, overrides={"method": "slpd"}
        ).model_dump_json()
    )
    write_events(
        tmp_path,
        Progress(stage="Training", done=30, total=80),
        METRIC,
        Progress(stage="Validating", done=1, total=5),
    )
    run = summarise_run(tmp_path)
    assert (run.method, run.preset, run.cohort) == ("slpd", "default", str(tmp_path / "c.csv"))
    assert (run.stage, run.done, run.total) == ("Training", 30, 80)
    assert run.figures == METRIC.values
    assert state_text(run) == "running, 37%"
    assert age_text(run.heard) == "now"
    (tmp_path / "metrics.json").write_text('{"test/auc/cancer": 0.75, "test/slides": 3}')
    write_status(tmp_path, state="finished")
    assert summarise_run(tmp_path).test == {"test/auc/cancer": 0.75}
    assert state_text(summarise_run(tmp_path)) == "done"
    assert summarise_run(tmp_path / "gone").state == "gone"


def test_the_list_of_runs_keeps_the_newest_first_and_never_touches_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))
    assert known_runs() == []
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    for run_dir in (first, second, first):
        remember_run(run_dir)
    assert known_runs() == [first, second]
    forget_run(first)
    assert known_runs() == [second]
    assert first.is_dir()
    (tmp_path / "config" / "runs.json").write_text("{broken")
    assert known_runs() == []
    remember_run(first)
    assert known_runs() == [first]


def test_a_training_is_remembered_followed_and_ended_from_outside(
    tiny_train: TrainJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))
    job = tiny_train.model_copy(
        update={"overrides": tiny_train.overrides | {"training.epochs": 2000}}
    )
    path = tmp_path / "job.json"
    path.write_text(job.model_dump_json())
    command = [sys.executable, "-m", "napari_dre_slcl.jobs.worker", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        tail, events = EventTail(job.run_dir), []
        end = time.monotonic() + WAIT_S
        while not any(isinstance(event, Metric) for event in events):
            assert time.monotonic() < end
            events += tail.read()
            time.sleep(0.05)
        assert known_runs() == [job.run_dir]
        assert read_status(job.run_dir).state == "running"
        ask_run(job.run_dir, "cancel")
        assert process.wait(WAIT_S) == 130
    finally:
        process.kill()
    status = read_status(job.run_dir)
    assert (status.state, status.is_resumable) == ("cancelled", True)
