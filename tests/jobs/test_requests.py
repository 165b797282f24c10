"""How a running job is asked to stop, to hold still and to go on."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from napari_dre_slcl.jobs.messages import (
    PAUSED_STAGE,
    Cancelled,
    Command,
    Metric,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
    event_line,
    parse_event,
    parse_job,
)
from napari_dre_slcl.jobs.record import RunRecord
from napari_dre_slcl.jobs.requests import CANCEL_FILE, PAUSE_FILE, Requests, obey_signals
from napari_dre_slcl.jobs.worker import serve

needs_signals = pytest.mark.skipif(
    not hasattr(signal, "SIGUSR1"), reason="this system has no SIGUSR1"
)


def test_files_in_the_run_folder_ask_as_well(tmp_path: Path) -> None:
    requests = Requests()
    (tmp_path / PAUSE_FILE).touch()
    (tmp_path / CANCEL_FILE).touch()
    assert (requests.should_pause(), requests.should_stop()) == (False, False)
    requests.watch(tmp_path)
    assert (requests.should_pause(), requests.should_stop()) == (True, True)
    requests.go_on()
    assert (requests.should_pause(), requests.should_stop()) == (False, True)
    assert [path.name for path in tmp_path.iterdir()] == [CANCEL_FILE]


@needs_signals
def test_signals_ask_and_are_given_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    requests = Requests()
    with obey_signals(requests):
        os.kill(os.getpid(), signal.SIGUSR1)
        assert requests.should_pause()
        os.kill(os.getpid(), signal.SIGUSR2)
        assert not requests.should_pause()
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.should_stop()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before


def test_a_resume_job_is_read_back_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(event_line(ResumeJob(run_dir=tmp_path)))
    assert parse_job(tmp_path / "job.json") == ResumeJob(run_dir=tmp_path)


def test_the_record_says_that_a_run_holds_still_and_can_be_resumed(tmp_path: Path) -> None:
    def status() -> tuple[str, bool]:
        found = json.loads((tmp_path / "status.json").read_text())
        return found["state"], found["is_resumable"]

    record = RunRecord(tmp_path)
    record.begin()
    record.add(Progress(stage="Training", done=0, total=2))
    assert status() == ("running", False)
    (tmp_path / "config.toml").touch()
    record.add(Progress(stage=PAUSED_STAGE, done=0, total=2, message="Go on like this."))
    assert status() == ("paused", True)
    record.add(Progress(stage="Training", done=0, total=2))
    assert status() == ("running", True)
    record.close("cancelled", "Cancelled.")
    assert status() == ("cancelled", True)
    record.close("finished", "")
    assert status() == ("finished", False)


def test_a_resumed_record_is_appended_to_and_forgets_old_requests(tmp_path: Path) -> None:
    first = RunRecord(tmp_path)
    first.begin()
    first.add(Metric(step=1, values={"loss": 1.0}))
    for name in (PAUSE_FILE, CANCEL_FILE):
        (tmp_path / name).touch()
    again = RunRecord(tmp_path)
    assert not again.is_open  # the run may be another process's, until the engine has it
    again.begin()
    again.add(Metric(step=2, values={"loss": 0.5}))
    assert again.is_open
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [parse_event(line).step for line in lines] == [1, 2]
    assert not (tmp_path / PAUSE_FILE).exists()
    assert not (tmp_path / CANCEL_FILE).exists()


def test_the_server_pauses_goes_on_cancels_and_resumes(tiny_train: TrainJob) -> None:
    overrides = tiny_train.overrides | {"training.epochs": 12}
    job = tiny_train.model_copy(update={"overrides": overrides})
    paths = [job.run_dir.with_name(name) for name in ("train.json", "resume.json")]
    paths[0].write_text(event_line(job))
    paths[1].write_text(event_line(ResumeJob(run_dir=job.run_dir)))
    end, begin = os.pipe()
    seen: list[object] = []

    def say(command: str, path: Path | None = None) -> None:
        os.write(begin, (Command(command=command, job=path).model_dump_json() + "\n").encode())

    def answer(event: object) -> None:
        if isinstance(event, Metric) and not any(isinstance(e, Metric) for e in seen):
            say("pause")
        if isinstance(event, Progress) and event.stage == PAUSED_STAGE:
            say("continue")
        if isinstance(event, Metric) and event.step == 4:
            say("cancel")
        if isinstance(event, Cancelled):
            say("run", paths[1])
        if isinstance(event, Result):
            say("quit")
        seen.append(event)

    say("run", paths[0])
    with os.fdopen(end) as commands:
        serve(commands, answer)
    os.close(begin)
    kinds = [type(event) for event in seen]
    assert kinds.count(Cancelled) == 1
    assert any(isinstance(e, Progress) and e.stage == PAUSED_STAGE for e in seen)
    after = seen[kinds.index(Cancelled) :]
    steps = [event.step for event in after if isinstance(event, Metric)]
    assert steps == list(range(steps[0], 13))
    assert steps[0] >= 4
