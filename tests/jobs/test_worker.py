"""The engine process as a shell or the window sees it: lines in, lines out, exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Command,
    Failed,
    Log,
    Metric,
    PredictJob,
    Progress,
    Result,
    TrainJob,
    event_line,
    parse_event,
)
from napari_dre_slcl.jobs.requests import Requests, obey_signals
from napari_dre_slcl.jobs.worker import EXIT_CODES, run_job, serve

WORKER = (sys.executable, "-m", "napari_dre_slcl.jobs.worker")


def run_worker(*arguments: str, commands: str = "") -> tuple[int, list[object], str]:
    done = subprocess.run(
        [*WORKER, *arguments],
        input=commands,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, [parse_event(line) for line in done.stdout.splitlines()], done.stderr


def predict_without_model(folder: Path) -> PredictJob:
    return PredictJob(model=folder / "no-model", slides=(folder / "a.svs",), out=folder / "out")


def write_job(folder: Path, job: PredictJob | TrainJob) -> Path:
    path = folder / "job.json"
    path.write_text(event_line(job))
    return path


def test_missing_model_fails_with_one_sentence_that_names_it(tmp_path: Path) -> None:
    events: list[object] = []
    end = run_job(predict_without_model(tmp_path), events.append)
    assert isinstance(end, Failed)
    assert "no-model" in end.message
    assert "unexpected" not in end.message
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read anything")
def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    end = run_job(predict_without_model(tmp_path / "closed"), lambda event: None)
    assert isinstance(end, Failed)
    assert "closed" in end.message
    assert "unexpected" not in end.message


def test_missing_cohort_leaves_no_run_folder(tmp_path: Path) -> None:
    spec = TrainJob(cohort=tmp_path / "none.csv", run_dir=tmp_path / "run", preset="cpu-small")
    end = run_job(spec, lambda event: None)
    assert isinstance(end, Failed)
    assert "none.csv" in end.message
    assert list(tmp_path.iterdir()) == []


def test_refused_job_keeps_the_status_of_the_run_that_was_there(tmp_path: Path) -> None:
    status = tmp_path / "status.json"
    status.write_text(json.dumps({"state": "finished"}))
    spec = TrainJob(cohort=tmp_path / "none.csv", run_dir=tmp_path, preset="cpu-small")
    assert isinstance(run_job(spec, lambda event: None), Failed)
    assert json.loads(status.read_text()) == {"state": "finished"}


def test_a_job_on_a_folder_that_another_job_took_meanwhile_leaves_it(tiny_train: TrainJob) -> None:
    changed = {"training.epochs": 1}
    job = tiny_train.model_copy(update={"overrides": tiny_train.overrides | changed})
    ends: list[object] = []
    left: dict[Path, bytes] = {}

    def run_the_other(event: object) -> None:
        if not ends:
            ends.append(None)
            ends[0] = run_job(job, lambda event: None)
            left.update({path: path.read_bytes() for path in job.run_dir.glob("*.*")})

    end = run_job(job, run_the_other)
    assert isinstance(ends[0], Result)
    assert isinstance(end, Failed)
    assert "is in use already" in end.message
    assert {path: path.read_bytes() for path in job.run_dir.glob("*.*")} == left


@pytest.mark.parametrize(
    ("text", "part"),
    [(None, "cannot be read"), ("{", "not valid"), ('{"kind": "bake"}', "bake")],
)
def test_bad_job_file_fails_with_exit_code_1(tmp_path: Path, text: str | None, part: str) -> None:
    path = tmp_path / "job.json"
    if text is not None:
        path.write_text(text)
    code, events, _ = run_worker(str(path))
    assert code == 1
    [end] = events
    assert isinstance(end, Failed)
    assert part in end.message
    assert "job.json" in end.message


def test_no_argument_is_bad_usage() -> None:
    code, events, complaint = run_worker()
    assert (code, events) == (2, [])
    assert complaint.startswith("usage:")


def test_server_answers_every_job_and_survives_rubbish(tmp_path: Path) -> None:
    job = write_job(tmp_path, predict_without_model(tmp_path))
    order = Command(command="run", job=job).model_dump_json()
    code, events, _ = run_worker("--serve", commands=f"{order}\nrubbish\n{order}\n")
    ends = [event for event in events if isinstance(event, Failed)]
    warnings = [event for event in events if isinstance(event, Log)]
    assert code == 0
    assert len(ends) == 2
    assert ["rubbish" in warning.message for warning in warnings] == [True]


def test_a_held_job_ends_with_the_input_that_could_let_it_go_on(tiny_train: TrainJob) -> None:
    path = tiny_train.run_dir.with_name("train.json")
    path.write_text(event_line(tiny_train))
    commands = [Command(command="run", job=path), Command(command="pause")]
    sent: list[object] = []
    serve(io.StringIO("".join(line.model_dump_json() + "\n" for line in commands)), sent.append)
    assert isinstance(sent[-1], Cancelled)


def test_job_goes_on_when_nobody_reads_its_events(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    job.write_text("{")  # fails before torch is imported, which takes seconds
    process = subprocess.Popen(
        [*WORKER, str(job)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    _, complaint = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "BrokenPipe" not in complaint


def test_job_file_runs_to_its_end_and_leaves_a_whole_record(tiny_train: TrainJob) -> None:
    job = write_job(tiny_train.run_dir.parent, tiny_train)
    code, events, _ = run_worker(str(job))
    assert code == 0
    assert isinstance(events[-1], Result)
    lines = (tiny_train.run_dir / "events.jsonl").read_text().splitlines()
    kept = [parse_event(line) for line in lines]
    assert [e for e in kept if not isinstance(e, Progress)] == [
        e for e in events if not isinstance(e, Progress)
    ]
    told = iter(events)  # the file leaves out Progress in quick succession
    assert all(any(event == other for other in told) for event in kept)
    status = json.loads((tiny_train.run_dir / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["pid"] > 0


def test_termination_cancels_the_job(tiny_train: TrainJob) -> None:
    requests = Requests()

    def terminate(event: object) -> None:
        if isinstance(event, Metric):
            os.kill(os.getpid(), signal.SIGTERM)

    with obey_signals(requests):
        end = run_job(tiny_train, terminate, requests)
    assert isinstance(end, Cancelled)
    assert EXIT_CODES[type(end)] == 130
    status = json.loads((tiny_train.run_dir / "status.json").read_text())
    assert status["state"] == "cancelled"


def test_unexpected_error_names_the_log_that_holds_the_traceback(tiny_train: TrainJob) -> None:
    def break_down(event: object) -> None:
        if isinstance(event, Metric):
            raise ZeroDivisionError("boom")

    end = run_job(tiny_train, break_down)
    assert isinstance(end, Failed)
    log = tiny_train.run_dir / "log.txt"
    assert "ZeroDivisionError" in end.message
    assert str(log) in end.message
    assert "Traceback" in log.read_text()
    status = json.loads((tiny_train.run_dir / "status.json").read_text())
    assert (status["state"], status["message"]) == ("failed", end.message)


def test_importing_the_worker_does_not_import_torch() -> None:
    code = "import sys, napari_dre_slcl.jobs.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_a_stage_can_be_read_back_from_its_line() -> None:
    event = Progress(stage="Training", done=3, total=9, message="epoch 1")
    assert parse_event(event_line(event)) == event
