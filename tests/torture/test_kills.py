"""The short form of the kills, and that its eyes see what it looks for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from torture.kills import run
from torture.kills.state import content, marks, touched
from torture.kills.steps import first_step, newest_step
from torture.plan import Plan


@pytest.mark.skipif(sys.platform != "linux", reason="children are forked with torch loaded")
def test_a_killed_embedding_goes_on_and_loses_nothing(
    tmp_path: Path, make_slide: Callable[..., Path], tissue_image: Callable[..., NDArray[np.uint8]]
) -> None:
    lines = ["slide_id,slide,patient_id,grade"]
    for number in range(4):
        make_slide(tmp_path / f"s{number}.tif", image=tissue_image(512, 512, (0, 0, 512, 512)))
        lines.append(f"s{number},s{number}.tif,P{number},low")
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    said: list[str] = []
    (row,) = run(Plan(0, 0.01, tmp_path, said.append), ["embed"], tmp_path / "cohort.csv")
    assert row.is_passed, said
    assert "embed" in said[0]


def test_a_file_that_is_lost_or_changed_or_made_again_is_seen(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("kept", "lost", "changed", "again", "replaced")]
    for path in paths:
        path.write_text("whole")
    before = marks(paths)
    assert touched(before) == []
    paths[1].unlink()
    paths[2].write_text("other")
    os.utime(paths[3], ns=(0, 1))
    aside = tmp_path / "aside"
    aside.write_text("whole")
    facts = paths[4].stat()
    os.utime(aside, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    aside.replace(paths[4])
    assert touched(before) == [
        "lost is lost",
        "changed was changed",
        "again was made a second time",
        "replaced was made a second time",
    ]


def test_folders_are_compared_by_what_lasts(tmp_path: Path) -> None:
    for name, second in (("one", 1), ("other", 2)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.json").write_text(f'{{"created": "day {second}", "width": 3}}')
        (folder / "log.txt").write_text("line\n" * second)
    assert content(tmp_path / "one") == content(tmp_path / "other")
    (tmp_path / "other" / "model.json").write_text('{"width": 4}')
    (tmp_path / "other" / ".left").touch()
    (tmp_path / "other" / "log.txt").write_text("half a li")
    one, other = content(tmp_path / "one"), content(tmp_path / "other")
    assert {name for name in other if one.get(name) != other[name]} == {
        "model.json",
        ".left",
        "log.txt",
    }


def test_a_training_that_goes_on_too_early_is_seen(tmp_path: Path) -> None:
    assert newest_step(tmp_path) == 0
    for name, serial, step in (("step-00000004", 5, 4), ("step-00000002", 3, 2)):
        folder = tmp_path / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(f'{{"serial": {serial}, "step": {step}}}')
    assert newest_step(tmp_path) == 4
    said = '{"event":"progress","stage":"Validating","done":0,"total":3}\n'
    assert first_step(said) is None
    assert first_step(said + '{"event":"progress","stage":"Training","done":3,"total":8}\n') == 3


def test_a_log_with_a_half_or_broken_line_differs_from_a_whole_one(tmp_path: Path) -> None:
    whole, half, broken = (tmp_path / name for name in ("whole", "half", "broken"))
    for folder, text in ((whole, "{}\n{}\n"), (half, '{}\n{"eve'), (broken, '{}\n{"eve\n{}\n')):
        folder.mkdir()
        (folder / "events.jsonl").write_text(text, encoding="utf-8")
    said = [content(folder)["events.jsonl"] for folder in (whole, half, broken)]
    assert len(set(said)) == 3
