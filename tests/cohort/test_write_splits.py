"""Folds written as split files come back as they were, and say what they come to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort import Cohort, SlideRow
from napari_dre_slcl.cohort.fold_summary import fold_of_rows, summarise_folds
from napari_dre_slcl.cohort.folds import patient_folds
from napari_dre_slcl.cohort.split_files import read_split_folder
from napari_dre_slcl.cohort.write_splits import write_split_folder
from napari_dre_slcl.errors import CohortError


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    rows = tuple(
        SlideRow(
            f"s{n}", None, f"P{n // 2}", "", "", None, "", {"y": "ab"[n // 2 % 2]}, None, n + 2
        )
        for n in range(24)
    )
    return Cohort(tmp_path / "cohort.csv", rows, ("y",))


def test_saved_folds_are_read_as_they_were_made(cohort: Cohort, tmp_path: Path) -> None:
    folds = patient_folds(cohort, ["y"], 3, seed=1, val_fraction=0.25)
    folder = write_split_folder(cohort, folds, tmp_path / "folds")
    again = read_split_folder(cohort, folder, 0.0, seed=0)
    assert [fold.name for fold in again] == [fold.name for fold in folds]
    for fold, same in zip(folds, again, strict=True):
        assert np.array_equal(fold.split, same.split)
    assert [path.name for path in tmp_path.iterdir()] == ["folds"]


def test_a_folder_with_something_in_it_is_left_alone(cohort: Cohort, tmp_path: Path) -> None:
    folds = patient_folds(cohort, ["y"], 3, seed=1)
    (tmp_path / "folds").mkdir()
    (tmp_path / "folds" / "mine.txt").touch()
    with pytest.raises(CohortError, match="not empty"):
        write_split_folder(cohort, folds, tmp_path / "folds")
    assert [path.name for path in (tmp_path / "folds").iterdir()] == ["mine.txt"]


def test_folds_are_summed_up(cohort: Cohort) -> None:
    folds = patient_folds(cohort, ["y"], 3, seed=1)
    found = summarise_folds(cohort, folds, ["y"])
    assert [(fold.n_train, fold.n_val, fold.n_test) for fold in found] == [(16, 0, 8)] * 3
    assert {fold.n_test_patients for fold in found} == {4}
    assert all(fold.test_shares["y"] == {"a": 0.5, "b": 0.5} for fold in found)
    of_rows = fold_of_rows(cohort, folds)
    assert sorted(of_rows) == [row.number for row in cohort.rows]
    assert set(of_rows.values()) == {"1", "2", "3"}
