"""Published splits: every form of file, in the order of its numbers, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.split_files import read_split_folder
from napari_dre_slcl.errors import CohortError

N = 6


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Return six slides a to f of the patients A to E; the last two are E's."""
    lines = ["slide,slide_id,patient_id,kind"]
    lines += [f"{name}.svs,{name},{'ABCDEE'[i]},{i % 2}" for i, name in enumerate("abcdef")]
    table = tmp_path / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_cohort(table, needs_slides=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder for split files."""
    (tmp_path / "splits").mkdir()
    return tmp_path / "splits"


ROLES = "slide_id,role\na,train\nb,train\nc,val\ne,test\nf,test\n"
READ = ["train", "train", "val", "", "test", "test"]


@pytest.mark.parametrize(
    "text",
    [
        ROLES,
        ROLES.replace(",", "\t"),
        ROLES.replace(",", ";"),
        "\ufeff" + ROLES,
        ROLES.replace("train", "Training").replace("val", "validation"),
        ROLES.replace("\n", "\r\n"),
        ROLES + "d,\n",
        "slide_id,role\na.svs,train\nb.svs,train\nc.svs,val\ne.svs,test\nf.svs,test\n",
        "slide_id,role\na.h5,train\nb.h5,train\nc.h5,val\ne.h5,test\nf.h5,test\n",
        "patient_id,role\nA,train\nB,train\nC,val\nE,test\n",
        ",train,val,test\n0,a,c,e\n1,b,,f\n",
        "train,val,test\na,c,e\nb,,f\n",
        ",train,val,test\na,True,,\nb,TRUE,,\nc,False,True,False\ne,,,True\nf,,,True\n",
        "slide_id,role,\n\na,train,\nb,train\nc,val,\n,,\ne,test,\nf,test,\n",
    ],
)
def test_each_form_of_file_is_read(cohort: Cohort, folder: Path, text: str) -> None:
    (folder / "split_0.csv").write_bytes(text.encode())
    (fold,) = read_split_folder(cohort, folder, 0, 0)
    assert fold.name == "split_0"
    assert fold.split.tolist() == READ


def test_a_table_with_a_column_for_each_fold_gives_as_many_folds(cohort, folder: Path) -> None:
    text = "case_id,slide_id,kind,fold_0,fold_1\nA,a,0,train,test\nB,b,1,test,train\nC,c,0,train,\n"
    (folder / "k=all.tsv").write_text(text.replace(",", "\t"), encoding="utf-8")
    first, second = read_split_folder(cohort, folder, 0, 0)
    assert (first.name, first.split.tolist()) == ("fold_0", ["train", "test", "train", "", "", ""])
    assert (second.name, second.split.tolist()) == ("fold_1", ["test", "train", "", "", "", ""])


def test_files_come_in_the_order_of_their_numbers(cohort: Cohort, folder: Path) -> None:
    for number in (10, 2, 0):
        (folder / f"split_{number}.csv").write_text(ROLES, encoding="utf-8")
    names = [fold.name for fold in read_split_folder(cohort, folder, 0, 0)]
    assert names == ["split_0", "split_2", "split_10"]


def test_what_clam_writes_beside_a_split_is_no_split(cohort: Cohort, folder: Path) -> None:
    (folder / "splits_0.csv").write_text(",train,val,test\n0,a,c,e\n", encoding="utf-8")
    (folder / "splits_0_bool.csv").write_text(",train,val,test\na,True,False,False\n")
    (folder / "splits_0_descriptor.csv").write_text(",train,val,test\n0,1,0,1\n")
    (folder / "README.md").write_text("about these splits")
    assert [fold.name for fold in read_split_folder(cohort, folder, 0, 0)] == ["splits_0"]


def test_one_file_may_stand_for_a_folder(cohort: Cohort, folder: Path) -> None:
    (folder / "mine.csv").write_text(ROLES, encoding="utf-8")
    assert read_split_folder(cohort, folder / "mine.csv", 0, 0)[0].split.tolist() == READ


def test_validation_is_drawn_by_patient_where_a_file_names_none(cohort, folder: Path) -> None:
    text = "slide_id,role\na,test\nb,train\nc,train\nd,train\ne,train\nf,train\n"
    (folder / "s.csv").write_text(text, encoding="utf-8")
    (fold,) = read_split_folder(cohort, folder, 0.4, 0, ["kind"])
    assert fold.split[0] == "test"
    patients = cohort.patients()
    validating = set(patients[fold.split == "val"])
    assert validating
    assert not validating & set(patients[fold.split == "train"])
    (again,) = read_split_folder(cohort, folder, 0.4, 0, ["kind"])
    np.testing.assert_array_equal(fold.split, again.split)


def test_validation_that_a_file_names_stays(cohort: Cohort, folder: Path) -> None:
    (folder / "s.csv").write_text(ROLES, encoding="utf-8")
    assert read_split_folder(cohort, folder, 0.5, 0)[0].split.tolist() == READ


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ROLES + "x,train\ny,test\n", r"s\.csv' names 2 slides of 7 .* does not have: 'x', 'y'"),
        (ROLES + "a,test\n", r"has 1 slides on two sides: 'a'\. Leave each on one"),
        ("slide_id,role\na,train\n", r"has no test slides"),
        ("slide_id,role\na,trian\nb,test\n", r"no column that says train, val or test"),
        ("name,role\na,train\n", r"neither a column slide_id nor .*; it has 'name', 'role'"),
        ("train,val,test\nTrue,False,False\n", r"says True and False but names no slides"),
        ("", r"neither a column slide_id nor .*; it has nothing"),
        ("slide_id,role\na,train,extra\n", r"Row 2 of .* has more cells than there are headings"),
        ("slide_id,role,role\na,train,test\n", r"has a heading twice"),
    ],
)
def test_a_broken_file_is_refused_with_its_name(cohort, folder, text: str, sentence: str) -> None:
    (folder / "s.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CohortError, match=sentence):
        read_split_folder(cohort, folder, 0, 0)


def test_a_file_in_another_encoding_is_refused(cohort: Cohort, folder: Path) -> None:
    (folder / "s.csv").write_bytes("slide_id,role\nä,train\n".encode("utf-16"))
    with pytest.raises(CohortError, match=r"s\.csv' is not text in UTF-8"):
        read_split_folder(cohort, folder, 0, 0)


def test_an_empty_or_missing_folder_is_refused(cohort: Cohort, folder: Path) -> None:
    with pytest.raises(CohortError, match=r"splits' holds no split files"):
        read_split_folder(cohort, folder, 0, 0)
    with pytest.raises(CohortError, match=r"nowhere' does not exist"):
        read_split_folder(cohort, folder / "nowhere", 0, 0)


def test_two_splits_of_one_name_are_refused(cohort: Cohort, folder: Path) -> None:
    (folder / "s.csv").write_text(ROLES, encoding="utf-8")
    (folder / "s.tsv").write_text(ROLES, encoding="utf-8")
    with pytest.raises(CohortError, match=r"Two splits in .* are called 's'"):
        read_split_folder(cohort, folder, 0, 0)


@pytest.mark.parametrize("name", ["../../outside", "LUAD/LUSC", "a:b", ".hidden"])
def test_names_that_are_no_names_of_folders_are_refused(cohort, folder, name: str) -> None:
    text = f"slide_id,{name},other\na,train,test\nb,test,train\n"
    (folder / "s.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CohortError, match="cannot give folders their names"):
        read_split_folder(cohort, folder, 0, 0)


def test_names_that_differ_in_case_alone_are_refused(cohort: Cohort, folder: Path) -> None:
    text = "slide_id,Fold,fold\na,train,test\nb,test,train\n"
    (folder / "s.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CohortError, match="called 'Fold', 'fold'"):
        read_split_folder(cohort, folder, 0, 0)


@pytest.mark.real_data
@pytest.mark.parametrize(("kind", "n_train"), [("full", 900), ("50", 49)])
def test_published_splits_of_tcga_lung_are_read(real_data, kind: str, n_train: int) -> None:
    tcga = real_data / "tcga_lung"
    if not tcga.is_dir():
        pytest.skip(f"no TCGA cohort at {tcga}")
    cohort = read_cohort(tcga / "cohort.csv", needs_slides=False)
    folds = read_split_folder(cohort, tcga / "splits" / kind, 0, 0)
    assert [fold.name for fold in folds] == [f"split_{number}" for number in range(10)]
    assert all(abs((fold.split == "train").sum() - n_train) <= 4 for fold in folds)
