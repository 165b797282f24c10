"""Folds by patient: nobody on two sides, every class in its share, the same with the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.folds import Fold, inner_folds, patient_folds
from napari_dre_slcl.errors import CohortError, ConfigError

TASKS = ("subtype", "TP53", "EGFR")


def _cohort(folder: Path, patients: int = 120, most_slides: int = 6, seed: int = 0) -> Cohort:
    """Return patients with 1 to `most_slides` slides, three tasks, one rare, labels missing."""
    rng = np.random.default_rng(seed)
    lines = ["slide_id,patient_id,subtype,TP53,EGFR"]
    for patient in range(patients):
        subtype = "LUAD" if rng.random() < 0.6 else "LUSC"
        tp53 = "" if rng.random() < 0.3 else str(int(rng.random() < 0.5))
        egfr = str(int(rng.random() < 0.12))
        for slide in range(rng.integers(1, most_slides + 1)):
            lines.append(f"s{patient}-{slide},P{patient},{subtype},{tp53},{egfr}")
    table = folder / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_cohort(table, needs_slides=False)


def _sides(cohort: Cohort, fold: Fold) -> dict[str, set[str]]:
    patients = cohort.patients()
    return {side: set(patients[fold.split == side]) for side in ("train", "val", "test")}


@pytest.mark.parametrize("n_folds", [2, 5, 10])
def test_every_slide_is_tested_once_and_no_patient_is_on_two_sides(tmp_path, n_folds: int) -> None:
    cohort = _cohort(tmp_path)
    folds = patient_folds(cohort, TASKS, n_folds, seed=1, val_fraction=0.2)
    assert len({fold.name for fold in folds}) == n_folds
    tested = np.sum([fold.split == "test" for fold in folds], axis=0)
    np.testing.assert_array_equal(tested, 1)
    for fold in folds:
        sides = _sides(cohort, fold)
        assert all(sides.values())
        assert not sides["train"] & sides["val"]
        assert not (sides["train"] | sides["val"]) & sides["test"]
        assert set(fold.split) == {"train", "val", "test"}


def test_every_class_of_every_task_is_spread_evenly(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    folds = patient_folds(cohort, TASKS, 5, seed=3, val_fraction=0.2)
    for column in TASKS:
        labels = cohort.labels(column)
        for name in set(labels) - {""}:
            total = (labels == name).sum()
            for fold in folds:
                tested = (labels[fold.split == "test"] == name).sum()
                # A patient's slides move together: up to six, so a few more or less than a fifth.
                assert abs(tested - total / 5) <= 4, (column, name)
                validating = (labels[fold.split == "val"] == name).sum()
                assert abs(validating - 0.2 * (total - tested)) <= 4, (column, name)


def test_drawing_at_random_spreads_worse(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path, patients=60)
    rare = cohort.labels("EGFR") == "1"
    folds = patient_folds(cohort, TASKS, 5, seed=0)
    drawn = [rare[fold.split == "test"].sum() for fold in folds]
    names = np.unique(cohort.patients())
    side = np.random.default_rng(0).integers(0, 5, len(names))
    of_slide = side[np.searchsorted(names, cohort.patients())]
    random = [rare[of_slide == number].sum() for number in range(5)]
    assert np.ptp(drawn) < np.ptp(random)


def test_a_seed_gives_the_same_folds_and_another_seed_others(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    first, again, other = (patient_folds(cohort, TASKS, 5, seed, 0.1) for seed in (7, 7, 8))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.split, two.split)
    assert any((one.split != two.split).any() for one, two in zip(first, other, strict=True))


def test_without_validation_nobody_validates(tmp_path: Path) -> None:
    folds = patient_folds(_cohort(tmp_path, 20), ["subtype"], 3, seed=0)
    assert all(set(fold.split) == {"train", "test"} for fold in folds)


def test_inner_folds_see_no_test_slide(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    outer = patient_folds(cohort, TASKS, 5, seed=0, val_fraction=0.1)[2]
    inner = inner_folds(cohort, outer, TASKS, 3, seed=0)
    assert all((fold.split[outer.split == "test"] == "").all() for fold in inner)
    tested = np.sum([fold.split == "test" for fold in inner], axis=0)
    np.testing.assert_array_equal(tested, outer.split != "test")


def test_inner_folds_leave_out_training_slides_of_a_tested_patient(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    patients = cohort.patients()
    split = np.where(np.arange(len(cohort)) % 4 == 0, "test", "train")
    torn = np.isin(patients, patients[split == "test"])
    assert (torn & (split == "train")).any()
    for fold in inner_folds(cohort, Fold("published", split), ["subtype"], 3, seed=0):
        assert (fold.split[torn] == "").all()
        assert (fold.split[~torn] != "").all()


def test_a_part_of_a_fold_keeps_its_sides(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path)
    fold = patient_folds(cohort, TASKS, 5, seed=0)[0]
    chosen = cohort.labels("subtype") == "LUAD"
    part = fold.of(chosen)
    assert part.name == fold.name
    np.testing.assert_array_equal(part.split, fold.split[chosen])


def test_as_many_folds_as_patients_leave_one_patient_out(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path, patients=8)
    folds = patient_folds(cohort, ["subtype"], 8, seed=0)
    assert [len(_sides(cohort, fold)["test"]) for fold in folds] == [1] * 8


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ((["subtype"], 1, 0), ConfigError, "1 folds cannot be made. Ask for 2 or more"),
        ((["subtype"], 3, 0, 1.0), ConfigError, "share of validation is 1. Give a number from 0"),
        ((["subtype"], 9, 0), CohortError, "has 8 patients here, too few for 9 folds"),
        ((["grade"], 3, 0), CohortError, "no label column 'grade'.*'subtype', 'TP53', 'EGFR'"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path, arguments, error, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        patient_folds(_cohort(tmp_path, patients=8), *arguments)


def test_a_class_of_one_patient_cannot_be_learned_where_that_patient_is_tested(tmp_path) -> None:
    lines = ["slide_id,patient_id,kind", *(f"s{i},P{i},{'a' if i else 'b'}" for i in range(9))]
    (tmp_path / "cohort.csv").write_text("\n".join(lines), encoding="utf-8")
    cohort = read_cohort(tmp_path / "cohort.csv", needs_slides=False)
    with pytest.raises(CohortError, match=r"fold 'patient-\d' show only 'a' in the column 'kind'"):
        patient_folds(cohort, ["kind"], 3, seed=0)
