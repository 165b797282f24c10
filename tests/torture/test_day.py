"""Minutes of the day in the window, and what is made of figures that grow."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from torture.endurance import day
from torture.endurance.deck import HOURS, PER_HOUR, deal
from torture.plan import Plan

STEADY = {
    "files": 30,
    "threads": 14,
    "processes": 4,
    "windows": 60,
    "widgets": 1400,
    "MiB": 400.0,
    "MiB of engines": 500.0,
}


def grown(changes: dict[str, float], parts: int = 16) -> list[str]:
    """Return what is too much where something changes by so much in each part."""
    held = [
        {name: value + part * changes.get(name, 0) for name, value in STEADY.items()}
        for part in range(parts)
    ]
    return [text for text, is_bad in day.judge(day.Growth(held, HOURS)).items() if is_bad]


def test_a_day_has_an_action_each_five_seconds_spread_evenly() -> None:
    deck = deal(1.0, random.Random(0))
    assert len(deck) == HOURS * 3600 / 5
    first = Counter(deck[: len(deck) // HOURS])
    for name, per_hour in PER_HOUR.items():
        assert abs(first[name] - per_hour) <= 1


@pytest.mark.parametrize("name", ["files", "threads", "processes", "windows", "widgets"])
def test_one_more_each_hour_is_too_much(name: str) -> None:
    assert len(grown({name: 0.5})) == 1


@pytest.mark.parametrize(("mib", "count"), [(0.0, 0), (1.0, 0), (8.0, 1), (-8.0, 0)])
def test_memory_may_grow_by_little(mib: float, count: int) -> None:
    assert len(grown({"MiB": mib})) == count


def test_what_fills_in_the_first_hour_is_no_growth() -> None:
    held = [STEADY | {"threads": min(20, 14 + 4 * part)} for part in range(16)]
    assert not any(day.judge(day.Growth(held, HOURS)).values())


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs a screen of its own")
def test_minutes_in_the_window_leave_nothing_behind(tmp_path: Path) -> None:
    [row] = day.run(Plan(0, 0.003, tmp_path, lambda text: None))
    assert row.tried >= 10
    assert row.is_passed, row.note
