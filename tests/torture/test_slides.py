"""The short form of `python -m torture --only slides`."""

from __future__ import annotations

import sys

import pytest

from torture.parts import run_part
from torture.plan import Plan
from torture.slides.spoil import WAYS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")


def test_spoiled_slides_are_read_or_refused_and_harm_nothing(tmp_path):
    rows = list(run_part("slides", Plan(1, 0.002, tmp_path, print)))
    assert [row.fault for row in rows[:-1]] == [f"slides: {way}" for way in WAYS]
    assert [row for row in rows if not row.is_passed] == []
