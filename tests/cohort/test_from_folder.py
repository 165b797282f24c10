"""A table of a folder: which files are slides, what they are called, whose they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.from_folder import table_of_folder
from napari_dre_slcl.cohort.write_sheet import write_sheet
from napari_dre_slcl.errors import CohortError

BARCODE = "TCGA-05-4245-01Z-00-DX1.36ff"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/one.svs", "a/two.tif", "b/one.svs", "b/.hidden.svs", ".no/x.svs", "b/note.txt"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    return tmp_path / "in"


def _rows(folder: Path | tuple[Path, ...], patients: str = "barcode") -> list[tuple[str, ...]]:
    made = table_of_folder(folder, patients)
    return [tuple(made.sheet.cells[number - 1]) for number in made.sheet.numbers]


def test_slides_are_found_and_each_has_a_name_of_its_own(folder: Path) -> None:
    assert _rows(folder) == [
        ("a_one.svs", "a/one.svs", ""),
        ("two", "a/two.tif", ""),
        ("b_one.svs", "b/one.svs", ""),
    ]
    notes = table_of_folder(folder).notes
    assert "3 of 3 slides have no TCGA barcode" in notes[0]


@pytest.mark.parametrize(
    ("rule", "patients"), [("folder", ["a", "a", "b"]), ("slide", ["one", "two", "one"])]
)
def test_patients_are_told_by_the_rule(folder: Path, rule: str, patients: list[str]) -> None:
    assert [row[2] for row in _rows(folder, rule)] == patients


def test_barcodes_give_patient_site_and_kind_of_tissue(folder: Path, tmp_path: Path) -> None:
    for name in (BARCODE, "TCGA-NJ-A4YF-11A-01-BS1.2222"):
        (folder / f"{name}.svs").touch()
    out = write_sheet(table_of_folder(folder).sheet, tmp_path / "out" / "cohort.csv")
    text = out.read_text().splitlines()
    assert text[0] == "slide_id,slide,patient_id,site,sample"
    assert f"{BARCODE},../in/{BARCODE}.svs,TCGA-05-4245,05,tumour" in text
    assert any(line.endswith("TCGA-NJ-A4YF,NJ,normal") for line in text)


def test_feature_files_make_a_table_where_there_are_no_slides(folder: Path, tmp_path: Path) -> None:
    (folder / "one.h5").touch()
    made = table_of_folder(folder, "slide")
    assert made.sheet.columns[1] == "slide"
    assert made.notes == ("1 feature files are left out, since there are slides too.",)
    shutil.rmtree(folder / "a")
    shutil.rmtree(folder / "b")
    table = write_sheet(table_of_folder(folder, "slide").sheet, tmp_path / "x.csv")
    assert read_cohort(table).rows[0].features == folder / "one.h5"


def test_single_files_and_missing_ones(folder: Path) -> None:
    files = (folder / "a/one.svs", folder / "a/two.tif")
    assert [row[:2] for row in _rows(files)] == [("one", "one.svs"), ("two", "two.tif")]
    with pytest.raises(CohortError, match="does not exist"):
        table_of_folder(folder / "c")
    with pytest.raises(CohortError, match="holds no slides"):
        table_of_folder((folder / "b/note.txt",))


def test_a_folder_of_dicom_files_is_one_slide(real_data: Path) -> None:
    rows = _rows(real_data / "slides", "slide")
    assert ("dicom_cmu-1-small-region",) * 3 in rows
    assert len(rows) == 5
