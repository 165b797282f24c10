"""A table as its cells: read, ordered, searched, changed and saved anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.check_cohort import check_sheet
from napari_dre_slcl.cohort.sheet import read_sheet
from napari_dre_slcl.cohort.sheet_index import SheetIndex
from napari_dre_slcl.cohort.write_sheet import free_table, write_sheet
from napari_dre_slcl.errors import CohortError

TEXT = """slide_id,features,patient_id,age
s10,f/a.h5,P1,9
s2,f/b.h5,P1,"70,5"

S1,f/c.h5,P2,NA
s3,f/d.h5,P3,tall
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "f").mkdir()
    for name in "abcd":
        (tmp_path / "f" / f"{name}.h5").touch()
    path = tmp_path / "cohort.csv"
    path.write_text(TEXT)
    return path


def test_rows_keep_the_numbers_of_the_spreadsheet(table: Path) -> None:
    sheet = read_sheet(table)
    assert sheet.columns == ("slide_id", "features", "patient_id", "age")
    assert sheet.numbers == (2, 3, 5, 6)
    assert (sheet.cell(5, 0), sheet.cell(5, 9)) == ("S1", "")


def test_numbers_are_ordered_by_size_names_as_people_do_and_gaps_come_last(table: Path) -> None:
    index = SheetIndex(read_sheet(table))
    assert index.order(0).tolist() == [2, 1, 3, 0]  # S1, s2, s3, s10
    assert index.order(0, is_descending=True).tolist() == [0, 3, 1, 2]
    assert index.order(3).tolist() == [0, 1, 3, 2]  # 9, 70.5, tall, NA
    assert index.order(3, is_descending=True).tolist() == [3, 1, 0, 2]
    assert index.order(-1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("wanted", "column", "found"),
    [
        ("", None, [0, 1, 2, 3]),
        ("B.H5", None, [1]),
        ("s1", None, [0, 2]),
        ("=s1", None, [2]),
        ("=P1", 2, [0, 1]),
        ("1", 3, []),
        ("=", 3, [2]),
    ],
)
def test_a_text_is_found_in_part_or_as_a_whole_cell(
    table: Path, wanted: str, column: int | None, found: list[int]
) -> None:
    assert SheetIndex(read_sheet(table)).matches(wanted, column).nonzero()[0].tolist() == found


def test_changes_are_checked_before_they_are_saved(table: Path) -> None:
    sheet = read_sheet(table)
    assert check_sheet(sheet).problems == ()
    changed = sheet.with_cells({(3, 2): "", (6, 0): "s2"})
    assert [problem.sentence for problem in check_sheet(changed).problems] == [
        "row 3: the patient_id is empty",
        "row 6: slide_id 's2' stands in row 3 too",
    ]
    assert sheet.cell(3, 2) == "P1"
    assert table.read_text() == TEXT


def test_a_column_is_added_once(table: Path) -> None:
    sheet = read_sheet(table).with_column("stage", ["I", "II", "", "I"])
    assert check_sheet(sheet).cohort.labels("stage").tolist() == ["I", "II", "", "I"]
    with pytest.raises(CohortError, match="has a column 'stage' already"):
        sheet.with_column(" stage", [""] * 4)


def test_paths_mean_the_same_files_from_another_folder(table: Path, tmp_path: Path) -> None:
    sheet = read_sheet(table).with_cells({(2, 3): "8"})
    out = write_sheet(sheet, tmp_path / "deep" / "er" / "new.csv")
    cohort = read_cohort(out)
    assert [row.features for row in cohort.rows] == [
        row.features for row in read_cohort(table).rows
    ]
    assert cohort.rows[0].labels["age"] == "8"
    assert table.read_text() == TEXT


def test_the_table_itself_is_never_written_over(table: Path, tmp_path: Path) -> None:
    sheet = read_sheet(table).with_cells({(2, 3): "8"})
    with pytest.raises(CohortError, match="that this was read from"):
        write_sheet(sheet, tmp_path / "f" / ".." / "cohort.csv", may_replace=True)
    other = write_sheet(sheet, free_table(table, "changed"))
    with pytest.raises(CohortError, match="exists already"):
        write_sheet(sheet, other)
    assert free_table(table, "changed").name == "cohort-changed-2.csv"
    assert table.read_text() == TEXT


@pytest.mark.parametrize("name", ["new.xlsx", "new.parquet", "new.docx"])
def test_csv_is_not_written_under_the_name_of_another_kind(
    table: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(CohortError, match=r"a name with \.csv"):
        write_sheet(read_sheet(table), tmp_path / name)
    assert not (tmp_path / name).exists()
