"""A small crowd of slides with broken ones among them goes through every command.

What takes minutes, one run that three want, is left to `make torture`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from torture.endurance import crowd
from torture.endurance.broken import WAYS, break_slide
from torture.plan import Plan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")


def test_a_crowd_with_broken_slides_comes_to_its_end(tmp_path: Path) -> None:
    rows = list(crowd.run(Plan(0, 0.001, tmp_path, lambda text: None)))
    assert [row.fault.split()[0] for row in rows] == [
        "cohort",
        "embed",
        "embed",
        "train",
        "train",
        "predict",
    ]
    assert [row for row in rows if not row.is_passed] == []


@pytest.mark.parametrize("way", sorted(WAYS))
def test_each_way_to_break_a_slide_changes_it(way: str, tmp_path: Path, slide_file) -> None:
    path = slide_file()
    before = path.read_bytes()
    break_slide(path, way, Plan(0, 1.0, tmp_path, print).random(way))
    assert not path.is_file() or path.read_bytes() != before
