"""The short form of the disk that fails: one command, each fault once."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture.disk import run
from torture.disk.library import why_not
from torture.disk.sequence import read_sequence
from torture.plan import Plan


@pytest.mark.skipif(bool(why_not()), reason=why_not())
def test_embedding_survives_each_fault_of_the_disk(tmp_path: Path) -> None:
    rows = list(run(Plan(0, 0.001, tmp_path, print), ["embed"]))
    assert len(rows) == 7
    assert not [row for row in rows if not row.is_passed]


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        (["write a/.x.part", "rename a/.x.part a/x", "flush a"], "before 'a/.x.part' was on disk"),
        (["write a/.x.part", "flush a/.x.part", "rename a/.x.part a/x"], "was never flushed"),
        (["write a/x", "flush a/x"], "under its own name"),
        (["write .x.part/y", "rename .x.part x", "flush "], "before '.x.part/y' was on disk"),
        (["rename .x.part x", "remove y", "flush "], "is deleted before"),
        (["write .x.part", "flush .x.part", "rename .x.part x", "flush "], ""),
    ],
)
def test_a_wrong_order_is_seen(tmp_path: Path, calls: list[str], problem: str) -> None:
    record = tmp_path / "record"
    lines = []
    for call in calls:
        name, path, other = [*call.split(" "), ""][:3]
        lines.append("\t".join((name, f"/d/{path}".rstrip("/"), f"/d/{other}" if other else "")))
    record.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    problems = read_sequence(record, Path("/d")).problems
    assert problem in " ".join(problems)
    assert bool(problems) == bool(problem)
