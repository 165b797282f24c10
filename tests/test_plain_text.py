"""Words of strangers: shown as they stand, in sentences, logs and lists of what was left out."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from napari_dre_slcl.cohort.left_out import write_left_out
from napari_dre_slcl.crash import crash_trace
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.jobs.messages import Failed, Log, Progress, Result, event_line, parse_event
from napari_dre_slcl.jobs.record import RunRecord
from napari_dre_slcl.plain_text import untagged, visible, visible_json

STRANGE = "a\x1b[31m\r\n\b\x9b\u202e\u2066\u200b\u2028\udcff"
SHOWN = r"a\x1b[31m\r\n\x08\x9b\u202e\u2066\u200b\u2028\udcff"


def test_signs_that_give_orders_are_shown_by_their_escapes() -> None:
    assert visible(STRANGE) == SHOWN
    assert visible(SHOWN) == SHOWN
    assert visible("one\ntwo\x1b", keep="\n") == "one\ntwo\\x1b"


@pytest.mark.parametrize(
    "text", ["Präparat 3 µm", "肺癌 01", "C:\\slides\\a.svs", "p < 0.05 & more"]
)
def test_honest_text_stays(text: str) -> None:
    assert visible(text) == untagged(text) == text


@pytest.mark.parametrize("text", ["<b>x", "< img src=x>", "</p>", "<!doctype html>", "&lt;b&gt;"])
def test_what_looks_like_a_tag_is_none_any_more(text: str) -> None:
    assert "<" not in untagged(text)
    assert "&lt;" not in untagged(text)
    assert len(untagged(text)) == len(text)


def test_json_stays_the_same_json() -> None:
    line = visible_json(json.dumps({STRANGE: STRANGE}, ensure_ascii=False))
    assert line.isprintable()
    assert json.loads(line) == {STRANGE: STRANGE}


def test_an_error_says_names_in_one_line() -> None:
    error = SlideError(f"Slide '{STRANGE}' is none.")
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == f"Slide '{SHOWN}' is none."


def test_an_unforeseen_error_keeps_its_lines_and_no_orders(monkeypatch) -> None:
    monkeypatch.setenv("DRE_SLCL_FULL_TRACES", "1")
    trace = crash_trace(ValueError(f"{STRANGE} and more"))
    assert SHOWN.replace(r"\n", "\n") in trace
    assert all(line.isprintable() for line in trace.split("\n"))


def test_log_and_list_of_a_run_are_plain(tmp_path: Path) -> None:
    record = RunRecord(tmp_path)
    record.begin()
    record.add(Log(message=f"Left out {STRANGE}", level="warning"))
    record.add(Progress(stage="Reading", done=0, total=1, message=STRANGE))
    record.close("failed", Failed(message=STRANGE).message)
    log = (tmp_path / "log.txt").read_text("utf-8")
    assert log.count(SHOWN) == 2
    assert len(log.splitlines()) == 3
    table = write_left_out(tmp_path, {STRANGE: f"no slide: {STRANGE}"})
    assert table is not None
    assert all(line.isprintable() for line in table.read_text("utf-8").splitlines())


def test_an_event_can_name_a_file_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    event = Result(kind="predict", paths={"a": tmp_path / "\udcff.tif"})
    assert json.loads(event_line(event))["paths"]["a"].endswith("\udcff.tif")


def test_events_of_others_are_plain_once_they_are_read() -> None:
    event = parse_event(json.dumps({"event": "log", "message": "a\x1b[2J"}))
    assert event == Log(message=r"a\x1b[2J")
