"""Cells of tables: what a stranger writes stays in its cell."""

from __future__ import annotations

import csv
import io

import pytest

from napari_dre_slcl.cohort.sheet import new_sheet, read_sheet
from napari_dre_slcl.cohort.write_sheet import write_sheet
from napari_dre_slcl.untrusted import defuse


@pytest.mark.parametrize("text", ["a\rb", "a\r\rb,P2,x", "\r=1+1", "a\r\nb\rc", "\r"])
def test_a_carriage_return_begins_no_row(text: str, tmp_path) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerow([defuse(text), "next"])
    rows = list(csv.reader(io.StringIO(stream.getvalue(), newline="")))
    assert [row[1:] for row in rows] == [["next"]]
    row = {"slide_id": "a", "patient_id": "P1", "subtype": text}
    sheet = new_sheet(tmp_path / "a.csv", tuple(row), [row])
    back = read_sheet(write_sheet(sheet, tmp_path / "b.csv"))
    assert len(back.numbers) == 1
    assert back.cell(back.numbers[0], 2).split() == text.split()
