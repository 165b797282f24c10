"""Tables of others: which column is what, and the table with our names."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.cohort.check_cohort import check_sheet
from napari_dre_slcl.cohort.column_roles import (
    FROM_BARCODE,
    example_values,
    guess_roles,
    with_roles,
)
from napari_dre_slcl.cohort.sheet import Sheet, read_sheet
from napari_dre_slcl.cohort.write_sheet import write_sheet
from napari_dre_slcl.errors import CohortError


def _sheet(folder: Path, text: str) -> Sheet:
    (folder / "t.csv").write_text(text)
    return read_sheet(folder / "t.csv")


def test_roles_are_guessed_by_name_and_by_cells(tmp_path: Path) -> None:
    sheet = _sheet(
        tmp_path, "Case ID,WSI path,part,Center,Dx\nP1,a.svs,train,X,LUAD\nP2,b.svs,test,Y,LUSC\n"
    )
    assert guess_roles(sheet) == {"patient_id": 0, "slide": 1, "split": 2, "site": 3}
    assert example_values(sheet, 4) == "LUAD, LUSC"


def test_patients_come_from_barcodes_where_no_column_names_them(tmp_path: Path) -> None:
    name = "TCGA-05-4245-01Z-00-DX1"
    sheet = _sheet(tmp_path, f"img,y\nx/{name}.svs,1\n")
    roles = guess_roles(sheet)
    assert roles == {"slide": 0, "patient_id": FROM_BARCODE}
    made = with_roles(sheet, roles)
    assert made.columns == ("slide", "y", "patient_id")
    assert made.cell(2, 2) == "TCGA-05-4245"


def test_the_new_table_can_be_used_and_the_old_one_is_left(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.svs").touch()
    text = "Case,site,File,Dx\nP1,11,a.svs,LUAD\nP2,12,b.svs,LUSC\n"
    sheet = _sheet(tmp_path, text)
    made = with_roles(sheet, {"patient_id": 0, "slide": 2})
    out = write_sheet(made, tmp_path / "new.csv")
    check = check_sheet(read_sheet(out))
    assert check.problems == ()
    assert [row.patient_id for row in check.cohort.rows] == ["P1", "P2"]
    assert check.cohort.label_columns == ("site (label)", "Dx")  # not taken for the hospital
    assert sheet.table.read_text() == text


@pytest.mark.parametrize(
    ("roles", "words"),
    [
        ({"slide": 0, "patient_id": 0}, "cannot be both 'Slide file' and 'Patient'"),
        ({"patient_id": 0}, "which slide a row is of"),
        ({"slide": 1}, "which patient a row is of"),
    ],
)
def test_roles_that_do_not_fit_are_refused(tmp_path: Path, roles: dict, words: str) -> None:
    sheet = _sheet(tmp_path, "Case,File\nP1,a.svs\n")
    with pytest.raises(CohortError, match=words):
        with_roles(sheet, roles)
