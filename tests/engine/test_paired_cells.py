"""Paired tests over cells: known differences, and no ranking across folds."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.engine.evaluation_predictions import TaskCell
from napari_dre_slcl.engine.paired_cells import paired_tests
from napari_dre_slcl.metrics.paired import delong

N = 40


def _cell(fold: str, seed: int, scores: np.ndarray, truth: np.ndarray, first: int = 0) -> TaskCell:
    names = np.array([f"s{first + number:03}" for number in range(len(truth))])
    empty = np.full(len(truth), "")
    values = np.stack([1 - scores, scores], axis=1)
    return TaskCell(fold, seed, ("0", "1"), names, names, empty, truth, values, None)


def _facts(cells: list[TaskCell]) -> list[dict]:
    slides = {"train": 160, "val": 0, "test": N}
    return [{"name": c.name, "test_sha256": c.slides[0], "slides": slides} for c in cells]


def _method(strength: float, shift: float = 0.0, seed: int = 0, n_folds: int = 3) -> list[TaskCell]:
    """Return folds whose scores rise with the truth; each fold may have a scale of its own."""
    cells = []
    for fold in range(n_folds):
        rng = np.random.default_rng([fold, 5])
        truth = rng.integers(0, 2, N)
        noise = np.random.default_rng([fold, int(100 * strength)]).normal(size=N)
        scores = 1 / (1 + np.exp(-(strength * truth + noise + shift * fold)))
        cells.append(_cell(f"f{fold}", seed, scores, truth, first=1000 * fold))
    return cells


def test_a_method_against_itself_differs_by_nothing() -> None:
    cells = _method(1.0)
    for name, test in paired_tests(cells, cells, _facts(cells)).items():
        assert test is not None, name
        assert (test["difference"], test["p"]) == (0.0, 1.0), name


def test_the_better_method_wins_by_every_test_and_the_sign_says_which() -> None:
    strong, weak = _method(4.0, n_folds=5), _method(0.2, n_folds=5)
    for name, test in paired_tests(strong, weak, _facts(strong)).items():
        assert test is not None
        assert test["low"] > 0, name
        assert test["p"] < 0.01, name
    other_way = paired_tests(weak, strong, _facts(strong))["bootstrap"]
    assert other_way is not None
    assert other_way["high"] < 0


def test_folds_on_scales_of_their_own_change_nothing() -> None:
    plain, shifted = _method(1.5), _method(1.5, shift=3.0)
    for name, test in paired_tests(shifted, plain, _facts(plain)).items():
        assert test is not None
        assert test["difference"] == pytest.approx(0.0, abs=1e-12), name


def test_delong_of_one_fold_is_delong() -> None:
    a, b = _method(2.0, n_folds=1), _method(0.5, n_folds=1)
    alone = delong(a[0].truth, a[0].probabilities[:, 1], b[0].probabilities[:, 1])
    found = paired_tests(a, b, _facts(a))["delong"]
    assert alone is not None
    assert found is not None
    assert found["difference"] == pytest.approx(alone.difference)
    assert found["p"] == pytest.approx(alone.p, rel=1e-6)


def test_variances_of_folds_add_up_and_those_of_seeds_do_not() -> None:
    a, b = _method(2.0), _method(0.5)
    once = paired_tests(a, b, _facts(a))["delong"]
    again = [
        [TaskCell(**{n: getattr(c, n) for n in c.__slots__} | {"seed": 1}) for c in cells]
        for cells in (a, b)
    ]
    twice = paired_tests(a + again[0], b + again[1], _facts(a + again[0]))["delong"]
    assert once is not None
    assert twice is not None
    assert twice["high"] - twice["low"] == pytest.approx(once["high"] - once["low"])


def test_folds_that_test_a_patient_twice_have_no_delong() -> None:
    a, b = _method(2.0), _method(0.5)
    a[1] = _cell("f1", 0, a[1].probabilities[:, 1], a[1].truth, first=0)
    b[1] = _cell("f1", 0, b[1].probabilities[:, 1], b[1].truth, first=0)
    tests = paired_tests(a, b, _facts(a))
    assert tests["delong"] is None
    assert tests["bootstrap"] is not None


def test_the_same_fold_under_many_seeds_counts_once() -> None:
    a, b = _method(2.0), _method(0.5)
    again = [
        [TaskCell(**{n: getattr(c, n) for n in c.__slots__} | {"seed": 1}) for c in cells]
        for cells in (a, b)
    ]
    once = paired_tests(a, b, _facts(a))["folds"]
    twice = paired_tests(a + again[0], b + again[1], _facts(a + again[0]))["folds"]
    assert once is not None
    assert twice is not None
    assert (twice["n"], twice["p"]) == (3, pytest.approx(once["p"]))


def test_patients_without_a_label_count_in_no_test() -> None:
    cells = _method(1.5)
    for cell in cells:
        cell.truth[:10] = -1
    for name in ("bootstrap", "delong"):
        test = paired_tests(cells, cells, _facts(cells))[name]
        assert test is not None
        assert test["n"] == 3 * (N - 10), name
