"""TCGA barcodes: patient and site by the slide's name, and the table that is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.tcga import parse_barcode, read_site_names
from napari_dre_slcl.cohort.tcga_table import write_tcga_table
from napari_dre_slcl.errors import CohortError

SLIDES = (
    "TCGA-05-4245-01Z-00-DX1.36ff5403-d4bb",
    "TCGA-05-4245-11A-01-TS1.1111",
    "TCGA-NJ-A4YF-01A-01-BS1.2222",
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("TCGA-05-4245-01Z-00-DX1.36ff5403", ("TCGA-05-4245", "05", "01")),
        ("tcga-nj-a4yf", ("TCGA-NJ-A4YF", "NJ", "")),
        ("TCGA-NJ-A4YF.svs", ("TCGA-NJ-A4YF", "NJ", "")),
        ("TCGA-05-4245-11A", ("TCGA-05-4245", "05", "11")),
        ("TCGA-05-42", None),
        ("TCGA-05-42455-01Z", None),
        ("slide-TCGA-05-4245", None),
        ("", None),
    ],
)
def test_a_barcode_says_patient_site_and_sample(text: str, parts) -> None:
    barcode = parse_barcode(text)
    assert (barcode and (barcode.patient, barcode.tss, barcode.sample)) == parts


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Return a folder as GDC's downloads are: one folder for each slide."""
    for name in SLIDES:
        (tmp_path / "gdc" / name[-4:]).mkdir(parents=True)
        (tmp_path / "gdc" / name[-4:] / f"{name}.svs").touch()
        (tmp_path / "gdc" / name[-4:] / f"{name}.svs.partial").touch()
    (tmp_path / "gdc" / "own.svs").touch()
    return tmp_path / "gdc"


def _sites(folder: Path, text: str = "tss,site\n5,Indivumed\nNJ,Emory\n") -> Path:
    (folder / "sites.csv").write_text(text)
    return folder / "sites.csv"


def test_a_folder_of_slides_becomes_a_table(slides: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "cohort.csv"
    filled = write_tcga_table(slides, out, read_site_names(_sites(tmp_path)))
    assert (filled.n_slides, filled.n_patients, filled.n_sites) == (3, 2, 2)
    assert filled.notes == (
        "1 files without a TCGA barcode are left out.",
        "1 slides are of normal tissue by their barcode; the column 'sample' tells which.",
    )
    cohort = read_cohort(out)
    assert {row.slide_id for row in cohort.rows} == set(SLIDES)
    by_id = {row.slide_id: row for row in cohort.rows}
    row = by_id[SLIDES[0]]
    assert (row.patient_id, row.site) == ("TCGA-05-4245", "Indivumed")
    assert row.labels == {"tss": "05", "sample": "tumour"}
    assert by_id[SLIDES[1]].labels["sample"] == "normal"


def test_a_table_is_filled_and_keeps_what_it_has(slides: Path, tmp_path: Path) -> None:
    text = f"slide_id,subtype,site\n{SLIDES[0]},LUAD,\n{SLIDES[2]},LUAD,Own\n"
    (tmp_path / "a.csv").write_text(text)
    filled = write_tcga_table(tmp_path / "a.csv", tmp_path / "b.csv")
    assert len(filled.notes) == 1
    assert "names the disease too" in filled.notes[0]
    rows = read_cohort(tmp_path / "b.csv", needs_slides=False).rows
    assert [(row.patient_id, row.site) for row in rows] == [
        ("TCGA-05-4245", "05"),
        ("TCGA-NJ-A4YF", "Own"),
    ]
    assert rows[1].labels == {"tss": "NJ", "subtype": "LUAD"}


def test_codes_without_a_site_are_named(slides: Path, tmp_path: Path) -> None:
    names = read_site_names(_sites(tmp_path, "TSS Code\tSource Site\nNJ\tEmory\n"))
    filled = write_tcga_table(slides, tmp_path / "b.csv", names)
    assert any("lacks the codes 05; their site is empty" in note for note in filled.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slide_id\nown\nother\n", "rows 2-3: no TCGA barcode"),
        (
            f"slide_id,patient_id\n{SLIDES[0]},TCGA-NJ-A4YF\n",
            "row 2: patient_id 'TCGA-NJ-A4YF' is not the patient of the barcode, TCGA-05-4245",
        ),
        ("slide_id\n", "has no rows"),
    ],
)
def test_what_cannot_be_filled_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(CohortError, match=said):
        write_tcga_table(tmp_path / "a.csv", tmp_path / "b.csv")
    assert not (tmp_path / "b.csv").exists()


def test_a_folder_without_barcodes_or_of_two_kinds_is_refused(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CohortError, match="no slide or feature file whose name begins"):
        write_tcga_table(tmp_path / "empty", tmp_path / "b.csv")
    (slides / f"{SLIDES[0]}.h5").touch()
    with pytest.raises(CohortError, match="holds slides and feature files"):
        write_tcga_table(slides, tmp_path / "b.csv")


def test_a_table_is_never_overwritten(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("mine")
    with pytest.raises(CohortError, match="exists already"):
        write_tcga_table(slides, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "said"),
    [("a,b\n1,2\n", "needs the columns 'tss'"), ("tss,site\n5,A\n05,B\n", "'05' two sites: 'A'")],
)
def test_a_table_of_sites_that_does_not_serve_is_refused(tmp_path, text, said) -> None:
    with pytest.raises(CohortError, match=said):
        read_site_names(_sites(tmp_path, text))
