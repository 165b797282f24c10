"""Cohort tables: what is read, what is refused, and with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import read_cohort
from napari_dre_slcl.cohort.splits import assign_splits
from napari_dre_slcl.cohort.tasks import Task, encode_labels, find_tasks, guess_task_columns
from napari_dre_slcl.errors import CohortError


def _table(folder: Path, text: str, slides: int = 40) -> Path:
    for number in range(slides):
        (folder / f"s{number}.tif").touch()
    path = folder / "cohort.csv"
    path.write_text(text, encoding="utf-8")
    return path


def _many(n: int = 24) -> str:
    lines = ["slide,patient_id,subtype,TP53,age,note"]
    for i in range(n):
        subtype = "LUAD" if i % 2 else "LUSC"
        mutation = "" if i == 5 else str(i // 2 % 2)
        lines.append(f"s{i}.tif,P{i // 2 if i < 4 else i},{subtype},{mutation},{40 + i},note {i}")
    return "\n".join(lines) + "\n"


def test_columns_find_their_roles(tmp_path: Path) -> None:
    header = "slide,slide_id,patient_id,site,report,mpp,split,subtype"
    text = f"{header}\ns0.tif,A, P1 ,X,text,0.5,train,LUAD\n"
    cohort = read_cohort(_table(tmp_path, text))
    row = cohort.rows[0]
    assert (row.slide_id, row.patient_id, row.site, row.report) == ("A", "P1", "X", "text")
    assert (row.mpp, row.split, row.labels) == (0.5, "train", {"subtype": "LUAD"})
    assert row.path == (tmp_path / "s0.tif").resolve()


def test_slide_id_defaults_to_the_file_name(tmp_path: Path) -> None:
    cohort = read_cohort(_table(tmp_path, "slide,patient_id\ns3.tif,P\n"))
    assert cohort.rows[0].slide_id == "s3"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    table = _table(tmp_path, "")
    table.write_bytes(b"\xef\xbb\xbfslide,patient_id\ns0.tif,P\n")
    assert len(read_cohort(table)) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("slide,subtype\ns0.tif,A\n", r"has no column 'patient_id'"),
        ("patient_id\nP\n", r"has no column 'slide'"),
        ("slide,patient_id\n", r"has no rows"),
        ("", r"it is empty"),
        ("slide,patient_id,patient_id\ns0.tif,P,P\n", r"has the column 'patient_id' twice"),
        ("slide,patient_id\nnone.tif,P\n", r"row 2: the slide '.*none\.tif' does not exist"),
        ("slide,patient_id\ns0.tif,\n", r"row 2: the patient_id is empty"),
        ("slide,patient_id,mpp\ns0.tif,P,wide\n", r"row 2: mpp 'wide' is no pixel size"),
        ("slide,patient_id,mpp\ns0.tif,P,0\n", r"row 2: mpp '0' is no pixel size"),
        ("slide,patient_id,mpp\ns0.tif,P,0.09\n", r"mpp '0\.09' .* between 0\.1 and 10"),
        ("slide,patient_id,mpp\ns0.tif,P,10.1\n", r"mpp '10\.1' .* between 0\.1 and 10"),
        ("slide,patient_id,split\ns0.tif,P,tset\n", r"row 2: split 'tset' is none of"),
        ("slide,patient_id\ns0.tif,P\ns0.tif,Q\n", r"row 3: slide_id 's0' stands in row 2 too"),
        ("slide,slide_id,patient_id\ns0.tif,../x,P\n", r"row 2: slide_id '\.\./x' holds a slash"),
        (
            "slide,patient_id,split\ns0.tif,P,train\ns1.tif,P,test\n",
            r"patient 'P' is in more than one split: 'test' \(row 3\), 'train' \(row 2\)",
        ),
    ],
)
def test_a_broken_table_is_refused_with_a_sentence(tmp_path, text: str, sentence: str) -> None:
    with pytest.raises(CohortError, match=sentence):
        read_cohort(_table(tmp_path, text))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "slide,patient_id,mpp\nnone.tif,P,0.5\ns0.tif,,x\n"
    with pytest.raises(CohortError) as caught:
        read_cohort(_table(tmp_path, text))
    for part in ("row 2: the slide", "row 3: the patient_id is empty", "row 3: mpp 'x'"):
        assert part in str(caught.value)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"nowhere\.csv' cannot be read: No such file"):
        read_cohort(tmp_path / "nowhere.csv")


def test_class_columns_are_guessed_and_numbers_and_notes_are_not(tmp_path: Path) -> None:
    assert guess_task_columns(read_cohort(_table(tmp_path, _many()))) == ("subtype", "TP53")


def test_an_unknown_label_column_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    cohort = read_cohort(_table(tmp_path, _many()))
    with pytest.raises(CohortError, match=r"no label column 'grade'.*'subtype', 'TP53'"):
        find_tasks(cohort, ["grade"], np.ones(24, dtype=bool))


def test_a_column_of_one_class_cannot_be_learned(tmp_path: Path) -> None:
    cohort = read_cohort(_table(tmp_path, _many()))
    luad = cohort.labels("subtype") == "LUAD"
    with pytest.raises(CohortError, match="show only 'LUAD' in the column 'subtype'"):
        find_tasks(cohort, ["subtype"], luad)


@pytest.mark.parametrize(
    ("values", "classes", "positive"),
    [
        (("cancer", "normal"), ("normal", "cancer"), "cancer"),
        (("1", "0"), ("0", "1"), "1"),
        (("b", "a", "c"), ("a", "b", "c"), None),
    ],
)
def test_the_negative_class_comes_first(tmp_path, values, classes, positive) -> None:
    lines = [f"s{i}.tif,P{i},{values[i % len(values)]}" for i in range(9)]
    cohort = read_cohort(_table(tmp_path, "slide,patient_id,label\n" + "\n".join(lines) + "\n"))
    (task,) = find_tasks(cohort, [], np.ones(9, dtype=bool))
    assert (task.classes, task.positive) == (classes, positive)


def test_missing_labels_are_minus_one(tmp_path: Path) -> None:
    cohort = read_cohort(_table(tmp_path, _many()))
    labels = encode_labels(cohort, find_tasks(cohort, [], np.ones(24, dtype=bool)))
    assert labels[5, 1] == -1
    assert set(labels[:, 0]) == {0, 1}


@pytest.mark.parametrize("fraction", [0.2, 1 / 3, 0.5])
def test_the_draw_keeps_patients_whole_and_labels_even(tmp_path, fraction: float) -> None:
    cohort = read_cohort(_table(tmp_path, _many()))
    split = assign_splits(cohort, ["subtype", "TP53"], fraction, seed=0)
    patients = cohort.patients()
    assert not set(patients[split == "train"]) & set(patients[split == "test"])
    held_out = len(set(patients[split == "test"])) / len(set(patients))
    assert held_out == pytest.approx(fraction, abs=0.05)
    labels = cohort.labels("subtype")[split == "test"]
    assert abs((labels == "LUAD").sum() - (labels == "LUSC").sum()) <= 2


def test_validation_patients_come_out_of_the_training_ones(tmp_path: Path) -> None:
    cohort = read_cohort(_table(tmp_path, _many()))
    without = assign_splits(cohort, ["subtype"], 0.25, 0)
    split = assign_splits(cohort, ["subtype"], 0.25, 0, val_fraction=0.3)
    assert (split[without == "test"] == "test").all()
    assert set(split[without == "train"]) == {"train", "val"}
    patients = cohort.patients()
    sides = [set(patients[split == side]) for side in ("train", "val", "test")]
    assert sum(map(len, sides)) == len(set(patients))
    assert len(sides[1]) / len(sides[0] | sides[1]) == pytest.approx(0.3, abs=0.06)


def test_the_same_seed_draws_the_same_split(tmp_path: Path) -> None:
    cohort = read_cohort(_table(tmp_path, _many()))
    one, again, other = (assign_splits(cohort, ["subtype"], 0.3, seed) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_a_full_split_column_decides(tmp_path: Path) -> None:
    text = "slide,patient_id,split\ns0.tif,A,train\ns1.tif,B,val\ns2.tif,C,TEST\n"
    split = assign_splits(read_cohort(_table(tmp_path, text)), [], 0.3, 0)
    assert split.tolist() == ["train", "val", "test"]


def test_a_half_filled_split_column_is_refused(tmp_path: Path) -> None:
    text = "slide,patient_id,split\ns0.tif,A,train\n\ns1.tif,B,\n"
    with pytest.raises(CohortError, match="row 4: the split is empty, other rows have one"):
        read_cohort(_table(tmp_path, text))


def test_a_split_column_without_training_slides_is_refused(tmp_path: Path) -> None:
    text = "slide,patient_id,split\ns0.tif,A,test\ns1.tif,B,test\n"
    with pytest.raises(CohortError, match="has no training slide"):
        assign_splits(read_cohort(_table(tmp_path, text)), [], 0.3, 0)


def test_too_few_patients_are_refused(tmp_path: Path) -> None:
    cohort = read_cohort(_table(tmp_path, "slide,patient_id\ns0.tif,A\n"))
    with pytest.raises(CohortError, match="has 1 patients, too few to hold some out"):
        assign_splits(cohort, [], 0.3, 0)


def test_feature_files_spare_the_slides(tmp_path: Path) -> None:
    text = "slide_id,patient_id,slide\nA,P,\nB,Q,gone.svs\n,Q,also/gone2.svs\n"
    rows = read_cohort(_table(tmp_path, text), needs_slides=False).rows
    assert [row.slide_id for row in rows] == ["A", "B", "gone2"]
    assert [row.path for row in rows] == [
        None,
        (tmp_path / "gone.svs").resolve(),
        (tmp_path / "also" / "gone2.svs").resolve(),
    ]
    without = _table(tmp_path, "slide_id,patient_id\nA,P\n")
    assert read_cohort(without, needs_slides=False).rows[0].path is None
    with pytest.raises(CohortError, match="has no column 'slide'"):
        read_cohort(without)


def test_a_row_needs_a_name_even_without_a_slide(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="row 3: names no slide"):
        read_cohort(_table(tmp_path, "slide_id,patient_id\nA,P\n,Q\n"), needs_slides=False)
    with pytest.raises(CohortError, match="has no column 'slide'"):
        read_cohort(_table(tmp_path, "patient_id\nP\n"), needs_slides=False)


@pytest.mark.parametrize("missing", ["", "NA", "n/a", "NaN", "null", "#N/A"])
def test_what_programs_write_for_a_missing_value_is_no_class(tmp_path: Path, missing: str) -> None:
    """R writes NA; a column of numbers with a gap comes out of pandas as 1.0 and 0.0."""
    values = ["1", "1.0", "0", "0.0", missing] * 4
    rows = [f"s{n}.tif,P{n},{value},{missing}" for n, value in enumerate(values)]
    table = _table(tmp_path, "slide,patient_id,TP53,report\n" + "\n".join(rows))
    cohort = read_cohort(table)
    (task,) = find_tasks(cohort, (), np.ones(len(cohort), dtype=bool))
    assert task == Task("TP53", ("0", "1"), "1")
    assert encode_labels(cohort, [task]).ravel().tolist() == [1, 1, 0, 0, -1] * 4
    assert not any(row.report for row in cohort.rows)
