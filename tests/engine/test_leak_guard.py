"""Leaks planted in a cohort and refused by the engine, before and after a real fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from napari_dre_slcl.engine.evaluation import run_evaluation
from napari_dre_slcl.engine.evaluation_request import EvaluationRequest
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import LeakageError

N = 24


class Planted:
    """A cohort of feature files of 24 patients, in which a test changes what it wants to plant.

    Parameters
    ----------
    folder : Path
        Gets the table, the features, and the split file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        self.rows = [
            [f"s{i}", f"P{i}", "ab"[i % 2], f"Report of the resection {i}, {'ab'[i % 2]}. " * 9]
            for i in range(N)
        ]
        self.features = [rng.normal(i % 2, 1, (5, 4)).astype(np.float32) for i in range(N)]

    def request(self, **options: object) -> EvaluationRequest:
        """Write all files and return what evaluates mean pooling on the last eight slides."""
        (self.folder / "features").mkdir()
        for row, features in zip(self.rows, self.features, strict=True):
            with h5py.File(self.folder / "features" / f"{row[0]}.h5", "w") as file:
                file["features"] = features
        self._write("cohort.csv", ["slide_id,patient_id,kind,report", *map(_line, self.rows)])
        sides = ["test" if i >= N - 8 else "train" for i in range(N)]
        roles = [f"{row[0]},{side}" for row, side in zip(self.rows, sides, strict=True)]
        (self.folder / "splits").mkdir()
        self._write("splits/split_0.csv", ["slide_id,role", *roles])
        return EvaluationRequest(
            cohort=self.folder / "cohort.csv",
            out=self.folder / "out",
            method="mean-pool",
            folds=str(self.folder / "splits"),
            tasks=("kind",),
            overrides={"features.folder": str(self.folder / "features")},
            **options,  # type: ignore[arg-type]
        )

    def _write(self, name: str, lines: list[str]) -> None:
        (self.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(cells: list[str]) -> str:
    return ",".join(f'"{cell}"' for cell in cells)


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    """Return a cohort without a leak."""
    return Planted(tmp_path)


def _evaluate(request: EvaluationRequest) -> list[dict[str, Any]]:
    metrics = run_evaluation(request, Reporter(lambda _: None, lambda: False)).metrics
    return list(metrics["cells"])


def test_a_clean_cohort_says_what_was_compared(planted: Planted) -> None:
    (cell,) = _evaluate(planted.request())
    assert {"patients", "slide content", "reports", "model", "normalisation"} <= {*cell["checked"]}
    assert cell["shared_patients"] == 0


def test_a_patient_on_two_sides_is_refused(planted: Planted) -> None:
    planted.rows[0][1] = f"P{N - 1}"
    with pytest.raises(LeakageError, match=rf"1 patient has slides in test .*: 'P{N - 1}'"):
        _evaluate(planted.request())
    assert not list(planted.folder.glob("out/cells/*/model"))


def test_an_allowed_patient_on_two_sides_trains_without_the_report(planted: Planted) -> None:
    planted.rows[0][1] = f"P{N - 1}"
    (cell,) = _evaluate(planted.request(allow_shared_patients=True))
    assert cell["shared_patients"] == 1


def test_a_slide_under_another_name_is_refused(planted: Planted) -> None:
    planted.features[N - 2] = planted.features[3].copy()
    with pytest.raises(LeakageError, match=rf"same content .*: 's{N - 2}' and 's3'"):
        _evaluate(planted.request(allow_shared_patients=True))


def test_a_test_report_in_training_is_refused(planted: Planted) -> None:
    planted.rows[2][3] = planted.rows[N - 1][3].upper()
    with pytest.raises(LeakageError, match=r"same report, word for word, as a test slide: 's2'"):
        _evaluate(planted.request())


def test_a_fit_that_takes_in_test_slides_is_refused(planted: Planted, monkeypatch) -> None:
    def rows(self: PreparedCohort, split: str) -> list[int]:
        sides = ("train", "test") if split == "train" else (split,)
        return np.flatnonzero(np.isin(self.split, sides)).tolist()

    monkeypatch.setattr(PreparedCohort, "rows", rows)
    with pytest.raises(LeakageError, match=r"The model was fitted on 8 test slides: .*on training"):
        _evaluate(planted.request())
    assert not list(planted.folder.glob("out/cells/*/cell.json"))
