"""Tables of every usual format give the same cohort, and doubts are told without a refusal."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from napari_dre_slcl.cohort import Cohort, read_cohort
from napari_dre_slcl.errors import CohortError

FRAME = pd.DataFrame(
    {
        "slide_id": ["a", "b", "c"],
        "features": ["f/a.h5", "f/b.h5", "f/c.h5"],
        "patient_id": [11, 12, 13],
        "site": ["Köln", "Köln", "Aarhus"],
        "TP53": [1.0, None, 0.0],
        "is_smoker": [True, False, None],
        "scan_date": [datetime(2024, 1, 31, 9), datetime(2024, 1, 31, 8, 30), None],
        "report": ["one,\ntwo; three", "", 'a "fine" slide'],
    }
)
ROWS = [
    ("a", "11", "Köln", "1", "True", "2024-01-31 09:00:00", "one,\ntwo; three"),
    ("b", "12", "Köln", "", "False", "2024-01-31 08:30:00", ""),
    ("c", "13", "Aarhus", "0", "", "", 'a "fine" slide'),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the feature files of the table."""
    (tmp_path / "f").mkdir()
    for name in "abc":
        (tmp_path / "f" / f"{name}.h5").touch()
    return tmp_path


def _shown(cohort: Cohort) -> list[tuple[str, ...]]:
    return [
        (row.slide_id, row.patient_id, row.site, *row.labels.values(), row.report)
        for row in cohort.rows
    ]


def _excel(path: Path) -> None:
    """Write the sheet second, behind one with notes, as people keep workbooks."""
    with pd.ExcelWriter(path) as writer:
        pd.DataFrame({"notes": ["read me"]}).to_excel(writer, sheet_name="About", index=False)
        FRAME.to_excel(writer, sheet_name="Slides", index=False)


WRITERS = {
    "commas.csv": lambda path: FRAME.to_csv(path, index=False),
    "bom.csv": lambda path: FRAME.to_csv(path, index=False, encoding="utf-8-sig"),
    "semicolons.csv": lambda path: FRAME.to_csv(path, index=False, sep=";"),
    "tabs.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "unicode.txt": lambda path: FRAME.to_csv(path, index=False, sep="\t", encoding="utf-16"),
    "windows.csv": lambda path: FRAME.to_csv(path, index=False, lineterminator="\r\n"),
    "hint.csv": lambda path: path.write_text("sep=|\n" + FRAME.to_csv(index=False, sep="|")),
    "book.xlsx": _excel,
    "columns.parquet": lambda path: FRAME.to_parquet(path),
    "index.parquet": lambda path: FRAME.set_index("slide_id").to_parquet(path),
    "wrong_name.csv": lambda path: FRAME.to_excel(path.with_suffix(".xlsx"), index=False),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_cohort(folder: Path, name: str) -> None:
    WRITERS[name](folder / name)
    if name == "wrong_name.csv":
        (folder / "wrong_name.xlsx").rename(folder / name)
    cohort = read_cohort(folder / name)
    assert _shown(cohort) == ROWS
    assert [row.number for row in cohort.rows] == [2, 3, 4]
    assert cohort.is_from_features
    assert cohort.rows[2].features == (folder / "f" / "c.h5").resolve()
    assert cohort.sites().tolist() == ["Köln", "Köln", "Aarhus"]
    warned = [problem.what for problem in cohort.warnings]
    assert warned == (["the sheet 'Slides' is read, not 'About'"] if name == "book.xlsx" else [])


def test_a_slide_column_beside_features_asks_for_the_slides(folder: Path) -> None:
    FRAME.assign(slide="gone.svs").to_csv(folder / "a.csv", index=False)
    with pytest.raises(CohortError, match=r"gone\.svs' does not exist"):
        read_cohort(folder / "a.csv")
    cohort = read_cohort(folder / "a.csv", needs_slides=False)
    assert not cohort.is_from_features


def test_a_row_without_its_feature_file_is_named(folder: Path) -> None:
    FRAME.assign(features=["f/a.h5", "", "f/d.h5"]).to_csv(folder / "a.csv", index=False)
    with pytest.raises(CohortError, match=r"row 3: names no feature file; row 4: .*f/d\.h5' does"):
        read_cohort(folder / "a.csv")


def test_formulas_have_the_values_that_the_spreadsheet_kept(folder: Path) -> None:
    FRAME.to_excel(folder / "a.xlsx", index=False)
    workbook = openpyxl.load_workbook(folder / "a.xlsx")
    workbook.active["C2"] = "=5+6"
    workbook.save(folder / "a.xlsx")
    with pytest.raises(CohortError, match=r"row 2: formulas without a value \(such as C2\)"):
        read_cohort(folder / "a.xlsx")


@pytest.mark.parametrize(("name", "package"), [("a.xlsx", "openpyxl"), ("a.parquet", "pyarrow")])
def test_a_package_that_is_missing_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    (FRAME.to_excel if name.endswith("xlsx") else FRAME.to_parquet)(folder / name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CohortError, match=rf"needs {package}\. Run: pip install .*\[tables\]"):
        read_cohort(folder / name)


def test_paths_written_on_windows_are_found(folder: Path) -> None:
    FRAME.assign(features=[f"f\\{name}.h5" for name in "abc"]).to_csv(folder / "a.csv", index=False)
    assert all(row.features.is_file() for row in read_cohort(folder / "a.csv").rows)


def test_a_comma_in_a_pixel_size_is_a_point(folder: Path) -> None:
    FRAME.assign(mpp="0,2528").to_csv(folder / "a.csv", index=False, sep=";")
    assert {row.mpp for row in read_cohort(folder / "a.csv").rows} == {0.2528}


def test_doubts_are_told_and_the_table_is_used(tmp_path: Path) -> None:
    report = "Squamous cell carcinoma with keratin. " * 8
    lines = [f"s{n},P{n},A,{('LUAD', 'LUSC')[n % 2]},{n % 3},," for n in range(12)]
    lines[3] = "s3,P3,A,LUDA,0,,"
    lines[4] = "s4,P4,,LUAD,unknown,," + report
    lines[5] = "s5,P5,A,LUSC,1,," + report
    lines.insert(6, ",,,,,,")
    header = "slide_id,patient_id,site,subtype,TP53,grade,Report"
    (tmp_path / "a.csv").write_text("\n".join([header, *lines]))
    cohort = read_cohort(tmp_path / "a.csv", needs_slides=False)
    assert len(cohort) == 12
    assert [row.number for row in cohort.rows][5:7] == [7, 9]
    told = {(problem.rows, problem.column) for problem in cohort.warnings}
    assert told >= {
        ((1,), "Report"),  # taken for a label
        ((), "grade"),  # empty
        ((5,), "subtype"),  # one row only
        ((6,), "TP53"),  # unknown
        ((6,), "site"),  # empty where others are not
        ((8,), ""),  # an empty row
    }
    (tmp_path / "b.csv").write_text("\n".join([header.replace("Report", "report"), *lines]))
    shared = read_cohort(tmp_path / "b.csv", needs_slides=False).warnings
    assert ((6, 7), "report") in {(problem.rows, problem.column) for problem in shared}


def test_notes_and_dates_are_no_labels(tmp_path: Path) -> None:
    """Free text may say 'Biopsy' and 'biopsy', and a column of dates may repeat them."""
    notes = ["Biopsy", "biopsy", *(f"note {n}" for n in range(12)), "2024-01-01"]
    lines = [f"s{n},P{n},{note},2024-01-0{n % 3 + 1}" for n, note in enumerate(notes)]
    (tmp_path / "a.csv").write_text("\n".join(["slide_id,patient_id,note,scan_date", *lines]))
    cohort = read_cohort(tmp_path / "a.csv", needs_slides=False)
    assert {problem.column for problem in cohort.warnings} == {"note"}


def test_dates_that_repeat_as_classes_do_are_refused(tmp_path: Path) -> None:
    lines = [f"s{n},P{n},{('2024-02-01', '2024-03-01')[n % 2]}" for n in range(6)]
    (tmp_path / "a.csv").write_text("\n".join(["slide_id,patient_id,grade", *lines]))
    with pytest.raises(
        CohortError, match=r"rows 2-7: '2024-02-01' in the column 'grade' is a date"
    ):
        read_cohort(tmp_path / "a.csv", needs_slides=False)


def test_spaces_that_change_nothing_are_told_once_for_a_column(tmp_path: Path) -> None:
    lines = [f"s{n},P{n},note {n} " for n in range(9)]
    lines.append("s9,P9,no space")
    (tmp_path / "a.csv").write_text("\n".join(["slide_id,patient_id,note", *lines]))
    (warning,) = read_cohort(tmp_path / "a.csv", needs_slides=False).warnings
    assert warning.column == "note"
    assert "is read without the spaces around it" in warning.what


def test_a_folder_is_a_slide_where_it_holds_dicom(tmp_path: Path) -> None:
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "1.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1.txt").touch()
    (tmp_path / "a.csv").write_text("slide,patient_id\ndicom,P\nother,Q\n")
    with pytest.raises(
        CohortError, match=r"used: row 3: the folder '.*other' holds no DICOM slide"
    ):
        read_cohort(tmp_path / "a.csv")


def test_a_pipe_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(CohortError, match="is no file but a pipe"):
        read_cohort(tmp_path / "a.csv")


@pytest.mark.real_data
def test_real_tables_have_no_problem(real_data: Path) -> None:
    table = real_data / "tcga_lung" / "cohort.csv"
    if not table.is_file():
        pytest.skip(f"no TCGA lung table at {table}")
    cohort = read_cohort(table)
    assert (len(cohort), len(set(cohort.patients())), len(set(cohort.sites()))) == (990, 893, 36)
    assert cohort.is_from_features
    assert cohort.label_columns == ("tss", "subtype", "TP53", "STK11", "KRAS", "EGFR")
    assert cohort.warnings == ()
