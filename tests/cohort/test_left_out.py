"""Slides that could not be embedded take no part, those that merely lack their file are missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.cohort.check_cohort import check_cohort
from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.cohort.left_out import (
    LEFT_OUT,
    read_left_out,
    without_left_out,
    write_left_out,
)

TABLE = "slide_id,patient_id,grade\n" + "".join(f"s{n},p{n},{'ab'[n % 2]}\n" for n in range(4))
REASONS = {"s0": "made since", "s1": "=cut off,\nand more"}
READ = {"s0": "made since", "s1": "=cut off,\\nand more"}  # what orders a terminal about is shown


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "cohort.csv"
    path.write_text(TABLE)
    (tmp_path / "s0.h5").touch()
    (tmp_path / "s2.h5").touch()
    write_left_out(tmp_path, REASONS)
    return path


def test_the_list_comes_back_and_goes_with_the_last_reason(table: Path) -> None:
    assert read_left_out(table.parent) == READ
    assert write_left_out(table.parent, {}) is None
    assert read_left_out(table.parent) == {}


def test_only_slides_on_the_list_without_a_file_are_left_out(table: Path) -> None:
    cohort, gone = without_left_out(read_cohort(table, needs_slides=False), table.parent)
    assert gone == {"s1": READ["s1"]}
    assert [row.slide_id for row in cohort.rows] == ["s0", "s2", "s3"]


def test_a_check_warns_of_those_and_refuses_what_nobody_has_accounted_for(table: Path) -> None:
    check = check_cohort(table, needs_slides=False, features=table.parent)
    assert ["'s3.h5'" in problem.sentence for problem in check.problems] == [True]
    told = [w.sentence for w in check.warnings if "could not be embedded" in w.sentence]
    assert len(told) == 1
    assert "row 3" in told[0]
    assert "cut off" in told[0]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"slide,why\ns1,x\n", b'slide_id,reason\n"'])
def test_a_list_that_is_none_leaves_nothing_out(table: Path, content: bytes) -> None:
    (table.parent / LEFT_OUT).write_bytes(content)
    assert read_left_out(table.parent) == {}
