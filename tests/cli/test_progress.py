"""Events in a log: few lines, each said once."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from napari_dre_slcl.cli import progress
from napari_dre_slcl.cli.progress import show_events
from napari_dre_slcl.jobs.messages import PAUSED_STAGE, Log, Metric, Progress, parse_event


def test_log_gets_the_first_and_last_line_of_each_stage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with show_events(as_json=False) as on_event:
        for epoch in (1, 2, 3):
            on_event(Progress(stage="Training", done=epoch, total=3))
            on_event(Progress(stage="Refreshing", done=0, total=9))
            on_event(Progress(stage="Refreshing", done=9, total=9))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Training: 1/3",
        "Refreshing: 0/9",
        "Refreshing: 9/9",
        "Training: 3/3",
    ]


def test_newest_numbers_stand_beside_the_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with show_events(as_json=False) as on_event:
        on_event(Progress(stage="Training", done=0, total=1))
        on_event(Metric(step=1, values={"loss": 0.5}))
        on_event(Progress(stage="Training", done=1, total=1, message="epoch 1/1"))
    assert capsys.readouterr().err.splitlines()[-1] == "Training: 1/1  epoch 1/1  loss 0.500"


def test_square_brackets_in_a_sentence_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with show_events(as_json=False) as on_event:
        on_event(Log(level="warning", message="Slide '[red]a.svs' is [/] odd."))
    assert capsys.readouterr().err == "Warning: Slide '[red]a.svs' is [/] odd.\n"


def test_each_pause_is_told_and_so_is_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with show_events(as_json=False) as on_event:
        for done in (1, 2):
            on_event(Progress(stage="Training", done=done, total=9))
            on_event(Progress(stage=PAUSED_STAGE, done=done, total=9, message="Go on like this."))
            on_event(Progress(stage="Training", done=done, total=9))
    paused = "Paused. Go on like this."
    expected = ["Training: 1/9", paused, "Training: 1/9", paused, "Training: 2/9"]
    assert capsys.readouterr().err.splitlines() == expected


def test_a_narrow_terminal_cuts_what_stands_behind_the_bar_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=90)
    monkeypatch.setattr(progress, "status", lambda: screen)
    with show_events(as_json=False) as on_event:
        on_event(Progress(stage="Filling the memory bank", done=3, total=10, message="[/x] y"))
        on_event(Progress(stage=PAUSED_STAGE, done=3, total=10, message="Go on " + "x" * 80))
        on_event(Progress(stage="Training", done=4, total=12_345, message="epoch 1/10 " + "y" * 80))
    line = screen.file.getvalue().split("Training")[-1].split("\n")[0]
    assert "4/12345" in line
    assert "epoch" in line
    assert "…" in line
    assert "[/x] y" in screen.file.getvalue()


def test_json_lines_go_to_standard_output_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    event = Log(message="x" * 500 + " [bold]")
    with show_events(as_json=True) as on_event:
        on_event(event)
    (line,) = capsys.readouterr().out.splitlines()
    assert parse_event(line) == event
