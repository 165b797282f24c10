"""What a run folder remembers, and what it must not touch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_dre_slcl.jobs.messages import Failed, Log, Metric, Progress, event_line, parse_event
from napari_dre_slcl.jobs.record import RunRecord
from napari_dre_slcl.jobs.requests import CANCEL_FILE

EVENTS = (
    Progress(stage="Finding tissue", done=0, total=2),
    Log(message="Tasks: cancer."),
    Progress(stage="Finding tissue", done=2, total=2),
    Metric(step=1, values={"loss": 0.5}),
)


def test_events_wait_until_the_engine_makes_the_folder(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    record = RunRecord(run_dir)
    for event in EVENTS[:2]:
        record.add(event)
    assert not run_dir.exists()
    run_dir.mkdir()
    record.begin()
    for event in EVENTS[2:]:
        record.add(event)
    lines = (run_dir / "events.jsonl").read_text().splitlines()
    assert [parse_event(line) for line in lines] == list(EVENTS)
    assert json.loads((run_dir / "status.json").read_text())["state"] == "running"


def test_log_names_each_stage_once(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.begin()
    for event in EVENTS:
        record.add(event)
    text = (tmp_path / "log.txt").read_text()
    assert text.count("Finding tissue") == 1
    assert "info: Tasks: cancer." in text


def test_refused_job_leaves_nothing(tmp_path: Path) -> None:
    record = RunRecord(tmp_path / "run")
    record.add(EVENTS[0])
    record.add(Failed(message="No such table."))
    record.close("failed", "No such table.")
    assert list(tmp_path.iterdir()) == []


def test_folder_of_an_earlier_run_stays_untouched(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / CANCEL_FILE).touch()
    record = RunRecord(tmp_path)
    record.add(EVENTS[1])
    record.close("failed", "The folder is in use.")
    assert sorted(path.name for path in tmp_path.iterdir()) == [CANCEL_FILE, "metrics.json"]


def test_cancel_file_asks_to_stop_and_goes_with_the_end(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.begin()
    (tmp_path / CANCEL_FILE).touch()
    record.close("cancelled", "Cancelled.")
    assert not (tmp_path / CANCEL_FILE).exists()
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["state"], status["message"]) == ("cancelled", "Cancelled.")
    assert status["finished"] >= status["started"]


def test_half_a_line_of_a_run_that_was_broken_off_is_cut(tmp_path: Path) -> None:
    whole = event_line(EVENTS[0]) + "\n"
    for text in (whole + '{"event": "log", "le', '{"event":', whole):
        (tmp_path / "events.jsonl").write_text(text)
        record = RunRecord(tmp_path)
        record.begin()
        record.add(EVENTS[1])
        lines = (tmp_path / "events.jsonl").read_text().splitlines()
        assert [parse_event(line) for line in lines][-1] == EVENTS[1]


@pytest.mark.parametrize("has_folder", [True, False])
def test_traceback_lies_in_the_named_file(tmp_path: Path, has_folder: bool) -> None:
    run_dir = tmp_path / "run"
    if has_folder:
        run_dir.mkdir()
    record = RunRecord(run_dir)
    if has_folder:
        record.begin()
    log = record.write_trace("Traceback: boom")
    assert "Traceback: boom" in log.read_text()
    assert (log == run_dir / "log.txt") is has_folder
    log.unlink()
