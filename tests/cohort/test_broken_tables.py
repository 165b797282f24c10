"""Broken cohort tables as people send them: every problem is told at once, with its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from napari_dre_slcl.cohort import CohortTableError, read_cohort
from napari_dre_slcl.errors import CohortError

HEADER = "slide,patient_id,site,subtype,TP53"
SOUND = [f"s{n}.tif,P{n},{'AB'[n % 2]},{('LUAD', 'LUSC')[n % 2]},{n % 2}" for n in range(8)]
REPORT = "Adenocarcinoma of the left upper lobe with spread through air spaces " * 5


def _text(changes: Mapping[int, str] = {}, header: str = HEADER, body: list[str] = SOUND) -> str:
    """Return the sound table with other rows, numbered as in a spreadsheet."""
    lines = [header, *body]
    for number, line in changes.items():
        lines[number - 1 : number] = [line]
    return "\n".join(lines) + "\n"


def _csv(*args: object, **options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        table = folder / "cohort.csv"
        table.write_text(_text(*args, **options), encoding="utf-8", newline="")  # type: ignore[arg-type]
        return table

    return write


def _bytes(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "cohort.csv").write_bytes(content)
        return folder / "cohort.csv"

    return write


def _excel(change: Callable[[object], None]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        workbook = openpyxl.Workbook()
        for line in (HEADER, *SOUND):
            workbook.active.append(line.split(","))
        change(workbook.active)
        workbook.save(folder / "cohort.xlsx")
        return folder / "cohort.xlsx"

    return write


def _dates(sheet) -> None:
    sheet["D3"], sheet["D7"] = datetime(2024, 2, 1), datetime(2024, 2, 1)


def _merged_patients(sheet) -> None:
    sheet["B4"] = None
    sheet.merge_cells("B3:B4")


def _merged_header(sheet) -> None:
    sheet.insert_rows(1)
    sheet["A1"] = "Slides"
    sheet.merge_cells("A1:B1")


def _formula(sheet) -> None:
    sheet["B5"] = '=CONCATENATE("P", 3)'


@dataclass(frozen=True)
class Broken:
    """A table, and for each expected problem its rows and some of its words."""

    name: str
    write: Callable[[Path], Path]
    expected: tuple[tuple[tuple[int, ...], str], ...]


TABLES = (
    Broken(
        "missing_columns",
        _csv(header="file,patient,site,subtype,TP53"),
        (((), "no column 'patient_id'"), ((), "no column 'slide'")),
    ),
    Broken(
        "duplicate_ids",
        _csv(
            {4: "s0.tif,P0,A,LUAD,0", 9: "s1.tif,P1,B,LUSC,1"},
        ),
        (((4,), "'s0' stands in row 2 too"), ((9,), "'s1' stands in row 3 too")),
    ),
    Broken(
        "patient_in_two_sites",
        _csv({5: "s3.tif,P0,B,LUSC,1"}),
        (((2, 5), "patient 'P0' is in more than one site: 'A' (row 2), 'B' (row 5)"),),
    ),
    Broken(
        "patient_in_two_splits",
        _csv(
            header="slide,patient_id,split", body=["s0.tif,P,train", "s1.tif,P,test", "s2.tif,Q,"]
        ),
        (((2, 3), "more than one split"), ((4,), "the split is empty")),
    ),
    Broken(
        "stray_spaces_in_labels",
        _csv({2: "s0.tif,P0,A,LUAD ,0", 5: "s3.tif,P3,B,  LUSC,1", 6: "s4.tif,P4,A,LUAD ,0"}),
        (((2, 6), "'LUAD ' in the column 'subtype' is 'LUAD'"), ((5,), "'  LUSC'")),
    ),
    Broken(
        "mixed_case_labels",
        _csv({3: "s1.tif,P1,B,lusc,1", 4: "s2.tif,P2,a,Luad,0"}),
        (((3,), "'lusc'"), ((4,), "'Luad'"), ((4,), "'a' in the column 'site' is 'A'")),
    ),
    Broken(
        "patient_written_two_ways",
        _csv({4: "s2.tif,p0,A,LUAD,0"}),
        (((4,), "'p0' in the column 'patient_id' is 'P0'"),),
    ),
    Broken(
        "paths_that_do_not_exist",
        _csv({2: "gone.tif,P0,A,LUAD,0", 8: f"{REPORT},P6,A,LUAD,0"}),
        (((2,), "gone.tif' does not exist"), ((8,), "upper lobe with")),
    ),
    Broken(
        "mixed_separators",
        _csv({4: "s2.tif;P2;A;LUAD;0", 6: "s4.tif\tP4\tA\tLUAD\t0"}),
        (((4,), "separated by semicolons"), ((6,), "separated by tabs")),
    ),
    Broken(
        "byte_order_mark_and_more",
        _bytes(b"\xef\xbb\xbf" + _text({4: "s2.tif,,A,LUAD,0"}).encode()),
        (((4,), "the patient_id is empty"),),
    ),
    Broken(
        "excel_dates_in_a_label_column",
        _excel(_dates),
        (((3, 7), "'2024-02-01' in the column 'subtype' is a date"),),
    ),
    Broken(
        "excel_dates_saved_as_text",
        _csv({3: "s1.tif,P1,B,2-Sep,1", 5: "s3.tif,P3,1.2.2024,LUSC,1"}),
        (((3,), "'2-Sep' in the column 'subtype'"), ((5,), "'1.2.2024' in the column 'site'")),
    ),
    Broken(
        "merged_cells",
        _excel(_merged_patients),
        (((3, 4), "cells B3:B4 are merged"), ((4,), "the patient_id is empty")),
    ),
    Broken(
        "merged_header",
        _excel(_merged_header),
        (((1,), "the names of the columns stand in row 2"), ((1,), "cells A1:B1 are merged")),
    ),
    Broken(
        "formula_never_computed",
        _excel(_formula),
        (((5,), "formulas without a value"), ((5,), "the patient_id is empty")),
    ),
    Broken(
        "repeated_and_nameless_columns",
        _csv(header="slide,patient_id,site,site,"),
        (((1,), "'site' twice (columns C and D)"), ((1,), "column E has values but no name")),
    ),
    Broken(
        "latin_letters",
        _bytes(_text({3: "s1.tif,P1,Köln,LUSC,1", 6: "s4.tif,P4,Köln,LUAD,0"}).encode("latin-1")),
        (((3, 6), "the column 'site' has characters that are not UTF-8 (byte 0xF6)"),),
    ),
    Broken(
        "short_and_long_rows",
        _csv({3: "s1.tif,P1,B", 4: "s2.tif,P2,A,LUAD,0,left, upper", 5: "s3.tif,P3,B,LUSC,1,,"}),
        (((3,), "3 cells where the header has 5"), ((4,), "7 cells where the header has 5")),
    ),
    Broken(
        "a_quotation_mark_never_closed",
        _csv({3: 's1.tif,P1,B,"LUSC,1', 7: "s5.tif,P5,B,lusc,1"}),
        (
            ((3,), "a quotation mark is opened here and never closed"),
            ((7,), "'lusc' in the column 'subtype' is 'LUSC'"),
        ),
    ),
    Broken(
        "spoilt_numbers_and_errors",
        _csv({2: "s0.tif,1.2E+12,A,#REF!,0", 3: "s1.tif,P1,B,LUSC,#DIV/0!"}),
        (((2,), "was rounded"), ((2,), "error '#REF!'"), ((3,), "error '#DIV/0!'")),
    ),
    Broken(
        "one_file_for_two_patients",
        _csv(
            header="slide,slide_id,patient_id,mpp,split",
            body=["s0.tif,a,P,0.5,train", "s0.tif,b,Q,5000,train", "s1.tif,../c,R,,tset"],
        ),
        (
            ((2, 3), "s0.tif' stands in several rows of different patients"),
            ((3,), "mpp '5000' is no pixel size"),
            ((4,), "'../c' holds a slash"),
            ((4,), "split 'tset' is none of"),
        ),
    ),
    Broken(
        "empty_rows_keep_their_numbers",
        _csv({2: "", 5: ",,,,", 7: "s5.tif,,B,LUSC,1", 8: "gone.tif,P6,A,LUAD,0"}),
        (((7,), "the patient_id is empty"), ((8,), "gone.tif' does not exist")),
    ),
)


@pytest.mark.parametrize("broken", TABLES, ids=lambda broken: broken.name)
def test_every_problem_is_told_at_once_with_its_rows(tmp_path: Path, broken: Broken) -> None:
    for number in range(8):
        (tmp_path / f"s{number}.tif").touch()
    table = broken.write(tmp_path)
    with pytest.raises(CohortTableError) as caught:
        read_cohort(table)
    found = [(problem.rows, problem.what) for problem in caught.value.problems]
    for rows, words in broken.expected:
        (match,) = [what for own, what in found if own == rows and words in what]
        assert match in str(caught.value)
    assert len(found) == len(broken.expected), found


def test_the_sound_table_has_neither_problem_nor_warning(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"s{number}.tif").touch()
    cohort = read_cohort(_csv()(tmp_path))
    assert (len(cohort), cohort.warnings) == (8, ())


def test_many_problems_are_counted_and_all_kept(tmp_path: Path) -> None:
    table = _csv()(tmp_path)
    with pytest.raises(CohortTableError, match=r"row 2: .*; row 9: .* Correct") as caught:
        read_cohort(table)
    assert len(caught.value.problems) == 8
    table.write_text(_text(body=[f"gone{n}.tif,P{n},A,LUAD,0" for n in range(30)]))
    with pytest.raises(CohortTableError, match="and 20 more, listed by") as caught:
        read_cohort(table)
    assert [problem.rows for problem in caught.value.problems] == [(n,) for n in range(2, 32)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xls", b"\xd0\xcf\x11\xe0 old", "old kind"),
        ("a.xlsx", b"PK\x03\x04 cut", "no Excel workbook"),
        ("a.parquet", b"PAR1 cut", "Parquet file .* is damaged"),
        ("a.csv", b"II*\0 a slide", "not a CSV, TSV, Excel"),
    ],
)
def test_what_is_no_table_is_refused_with_a_sentence(tmp_path, name, content, said) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CohortError, match=said):
        read_cohort(tmp_path / name)


def test_parquet_with_lists_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"slide_id": ["a"], "patient_id": ["P"], "genes": [["TP53", "KRAS"]]})
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(CohortTableError, match="column 'genes' holds lists"):
        read_cohort(tmp_path / "a.parquet", needs_slides=False)
