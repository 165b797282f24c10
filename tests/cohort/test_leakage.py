"""Each kind of leak, planted and refused with a sentence that names it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from napari_dre_slcl.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.content_hash import content_hash, content_hashes
from napari_dre_slcl.cohort.leakage import LONG_REPORT, check_leakage, without_test_reports
from napari_dre_slcl.cohort.split_files import read_split_folder
from napari_dre_slcl.errors import LeakageError, SlideError

N = 8
SPLIT = np.array(["train"] * 4 + ["val"] * 2 + ["test"] * 2)


def _report(number: int) -> str:
    return f"Resection of lobe {number} with adenocarcinoma. " * 6


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Return eight slides s0 to s7 of eight patients with a report each."""
    lines = ["slide_id,patient_id,kind,report"]
    lines += [f"s{i},P{i},{i % 2},{_report(i)}" for i in range(N)]
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_cohort(table, needs_slides=False)


def _with(cohort: Cohort, number: int, **changes: str) -> Cohort:
    rows = list(cohort.rows)
    rows[number] = replace(rows[number], **changes)
    return replace(cohort, rows=tuple(rows))


def _hashes() -> dict[str, str]:
    return {f"s{i}": f"hash{i}" for i in range(N)}


def test_a_clean_split_passes_and_says_what_was_compared(cohort: Cohort) -> None:
    training = ["s0", "s1", "s2", "s3"]
    report = check_leakage(
        cohort, SPLIT, content=_hashes(), fitted={"codebook": training, "TF-IDF": training}
    )
    assert report.checked == ("patients", "slide content", "reports", "codebook", "TF-IDF")
    assert report.shared_patients == ()
    assert report.shared_validation_patients == ()
    assert report.same_short_reports == 0


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (0, r"1 patient has slides in test and in training or validation too: 'P6'\. Split by"),
        (4, r"1 patient has slides in test and in training or validation too: 'P6'"),
    ],
)
def test_a_patient_in_training_and_test_is_refused(cohort, number: int, sentence: str) -> None:
    with pytest.raises(LeakageError, match=sentence):
        check_leakage(_with(cohort, number, patient_id="P6", report=""), SPLIT)


def test_a_patient_in_training_and_validation_is_refused(cohort: Cohort) -> None:
    with pytest.raises(LeakageError, match=r"1 patient .* in training and in validation: 'P5'"):
        check_leakage(_with(cohort, 1, patient_id="P5"), SPLIT)


def test_shared_patients_are_reported_where_they_are_allowed(cohort: Cohort) -> None:
    torn = _with(_with(cohort, 0, patient_id="P6", report=""), 1, patient_id="P5")
    report = check_leakage(torn, SPLIT, allow_shared_patients=True)
    assert report.shared_patients == ("P6",)
    assert report.shared_validation_patients == ("P5",)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (2, r"1 test slide has the same content as a training slide: 's7' and 's2'"),
        (5, r"1 test slide has the same content as a validation slide: 's7' and 's5'"),
    ],
)
@pytest.mark.parametrize("is_allowed", [False, True])
def test_the_same_slide_under_two_names_is_refused(
    cohort, number: int, sentence: str, is_allowed: bool
) -> None:
    content = _hashes() | {f"s{number}": "hash7"}
    with pytest.raises(LeakageError, match=sentence):
        check_leakage(cohort, SPLIT, content=content, allow_shared_patients=is_allowed)


def test_the_same_slide_twice_on_one_side_is_no_leak(cohort: Cohort) -> None:
    check_leakage(cohort, SPLIT, content=_hashes() | {"s1": "hash0", "s7": "hash6"})


@pytest.mark.parametrize(
    "name", ["codebook", "PCA", "TF-IDF", "normalisation", "report vectors", "model"]
)
def test_what_was_fitted_on_a_test_slide_is_refused_by_its_name(cohort: Cohort, name: str) -> None:
    with pytest.raises(LeakageError, match=rf"The {name} was fitted on 1 test slide: 's6'\. Fit"):
        check_leakage(cohort, SPLIT, fitted={name: ["s0", "s1", "s6"]})


def test_what_was_fitted_on_another_slide_of_a_test_patient_is_refused(cohort: Cohort) -> None:
    torn = _with(cohort, 0, patient_id="P6")
    split = SPLIT.copy()
    split[0] = ""
    with pytest.raises(LeakageError, match=r"PCA was fitted on 1 slide of patients .*: 's0'"):
        check_leakage(torn, split, fitted={"PCA": ["s0", "s1"]})


def test_fitting_on_validation_or_foreign_slides_is_no_leak(cohort: Cohort) -> None:
    check_leakage(cohort, SPLIT, fitted={"temperature": ["s4", "s5"], "encoder": ["elsewhere"]})


def test_the_report_of_a_test_patient_in_training_is_refused(cohort: Cohort) -> None:
    torn = _with(cohort, 0, patient_id="P6")
    for is_allowed in (False, True):
        with pytest.raises(
            LeakageError, match=r"1 training slide has the report of a patient who is tested: 's0'"
        ):
            check_leakage(torn, SPLIT, allow_shared_patients=is_allowed)


def test_a_copied_test_report_in_training_is_refused_whatever_its_spacing(cohort: Cohort) -> None:
    copied = _with(cohort, 3, report=_report(7).upper().replace(" ", "  "))
    with pytest.raises(LeakageError, match=r"same report, word for word, as a test slide: 's3'"):
        check_leakage(copied, SPLIT)


def test_the_same_short_report_is_counted_and_no_leak(cohort: Cohort) -> None:
    short = "See the report of the main specimen."
    same = _with(_with(cohort, 3, report=short), 7, report=short)
    assert len(short) < LONG_REPORT
    assert check_leakage(same, SPLIT).same_short_reports == 1


def test_reports_do_not_matter_to_a_method_without_them(cohort: Cohort) -> None:
    copied = _with(cohort, 3, report=_report(7))
    assert "reports" not in check_leakage(copied, SPLIT, uses_reports=False).checked


def test_slides_that_are_left_out_leak_nothing(cohort: Cohort) -> None:
    split = SPLIT.copy()
    split[0] = ""
    torn = _with(cohort, 0, patient_id="P6")
    check_leakage(torn, split, content=_hashes() | {"s0": "hash7"})


def test_all_leaks_are_told_at_once(cohort: Cohort) -> None:
    torn = _with(cohort, 0, patient_id="P6")
    content = _hashes() | {"s1": "hash7"}
    with pytest.raises(LeakageError) as caught:
        check_leakage(torn, SPLIT, content=content, fitted={"codebook": ["s7"]})
    for part in ("1 patient has", "same content", "report of a patient", "codebook was fitted"):
        assert part in str(caught.value)


def test_test_reports_are_taken_out_of_training_only(cohort: Cohort) -> None:
    torn = _with(_with(cohort, 0, patient_id="P6"), 4, patient_id="P7")
    cleaned = without_test_reports(torn, SPLIT)
    assert [bool(row.report) for row in cleaned.rows] == [i not in (0, 4) for i in range(N)]
    check_leakage(cleaned, SPLIT, allow_shared_patients=True)


def _write(path: Path, features: NDArray[np.float32], **options: object) -> None:
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=features, **options)


@pytest.mark.parametrize("n_tiles", [3, 5000])
def test_features_under_another_name_are_found_though_packed_otherwise(cohort, n_tiles) -> None:
    folder = cohort.table.parent / "features"
    rng = np.random.default_rng(0)
    for row in cohort.rows:
        _write(folder / f"{row.slide_id}.h5", rng.normal(size=(n_tiles, 4)).astype(np.float32))
    content = content_hashes(cohort, folder)
    assert len(set(content.values())) == N
    check_leakage(cohort, SPLIT, content=content)
    with h5py.File(folder / "s1.h5") as file:
        planted = file["features"][()]
    _write(folder / "s7.h5", planted, compression="gzip")
    with pytest.raises(LeakageError, match=r"same content .*: 's7' and 's1'"):
        check_leakage(cohort, SPLIT, content=content_hashes(cohort, folder))


def test_slides_without_a_file_have_no_content(cohort: Cohort, tmp_path: Path) -> None:
    assert content_hashes(cohort, tmp_path) == {}
    assert content_hashes(cohort) == {}


def test_a_copied_slide_in_the_table_is_found(cohort: Cohort, slide_file) -> None:
    first = slide_file("first.tif")
    copy = first.with_name("copy.tif")
    shutil.copyfile(first, copy)
    other = slide_file("other.tif", mpp=0.25)
    rows = list(cohort.rows)
    for number, path in ((0, first), (6, copy), (7, other)):
        rows[number] = replace(rows[number], path=path)
    planted = replace(cohort, rows=tuple(rows))
    content = content_hashes(planted)
    assert set(content) == {"s0", "s6", "s7"}
    with pytest.raises(LeakageError, match=r"1 test slide .*: 's6' and 's0'"):
        check_leakage(planted, SPLIT, content=content)


def test_a_copied_dicom_folder_has_the_same_hash_whatever_its_file_names(tmp_path: Path) -> None:
    for folder, names in (("one", "ab"), ("two", "yx")):
        (tmp_path / folder).mkdir()
        for name, content in zip(names, (b"first" * 99, b"second" * 99), strict=True):
            (tmp_path / folder / f"{name}.dcm").write_bytes(content)
    assert content_hash(tmp_path / "one") == content_hash(tmp_path / "two")


def test_bytes_changed_in_the_middle_of_a_large_slide_change_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(bytes(1_000_000))
    before = content_hash(path)
    with path.open("r+b") as stream:
        stream.seek(400_000)
        stream.write(b"\1" * 200_000)
    assert content_hash(path) != before


def test_a_slide_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"'gone\.svs' cannot be read"):
        content_hash(tmp_path / "gone.svs")


@pytest.mark.real_data
def test_published_splits_share_patients_and_no_slide(real_data: Path) -> None:
    tcga = real_data / "tcga_lung"
    if not tcga.is_dir():
        pytest.skip(f"no TCGA cohort at {tcga}")
    cohort = read_cohort(tcga / "cohort.csv", needs_slides=False)
    split = read_split_folder(cohort, tcga / "splits" / "full" / "split_0.csv", 0, 0)[0].split
    with pytest.raises(LeakageError, match=r"7 patients have slides in test .* 21 training slides"):
        check_leakage(cohort, split)
    report = check_leakage(without_test_reports(cohort, split), split, allow_shared_patients=True)
    assert len(report.shared_patients) == 7
