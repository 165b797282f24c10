"""Scores against scikit-learn and against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from napari_dre_slcl.metrics.scores import spread_of, task_scores
from napari_dre_slcl.metrics.weighted import fold_mean, task_metrics


def _task(n: int, n_classes: int, seed: int = 0, step: float = 0.05) -> tuple:
    """Return labels and probabilities with many ties."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, n_classes, n)
    values = rng.random((n, n_classes)) + 0.4 * np.eye(n_classes)[truth]
    values = np.maximum(np.round(values / step) * step, step)
    return truth, values / values.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n", [12, 75, 400])
def test_two_classes_score_as_in_scikit_learn(n: int) -> None:
    truth, values = _task(n, 2)
    values[:, 1] = values[:, 1].round(2)
    values[:, 0] = 1 - values[:, 1]
    scores = task_scores(truth, values)
    said = values.argmax(axis=1)
    assert scores.n == n
    assert scores.auc == pytest.approx(reference.roc_auc_score(truth, values[:, 1]))
    expected = reference.average_precision_score(truth, values[:, 1])
    assert scores.average_precision == pytest.approx(expected)
    assert scores.f1 == pytest.approx(reference.f1_score(truth, said))
    expected = reference.balanced_accuracy_score(truth, said)
    assert scores.balanced_accuracy == pytest.approx(expected)


def test_more_classes_score_as_in_scikit_learn() -> None:
    truth, values = _task(200, 4)
    scores = task_scores(truth, values)
    said = values.argmax(axis=1)
    one_hot = np.eye(4)[truth]
    assert scores.auc == pytest.approx(reference.roc_auc_score(one_hot, values, average="macro"))
    expected = reference.average_precision_score(one_hot, values, average="macro")
    assert scores.average_precision == pytest.approx(expected)
    assert scores.f1 == pytest.approx(reference.f1_score(truth, said, average="macro"))
    expected = reference.balanced_accuracy_score(truth, said)
    assert scores.balanced_accuracy == pytest.approx(expected)


def test_slides_without_a_label_count_nowhere() -> None:
    truth, values = _task(60, 2)
    hidden = np.r_[truth, [-1, -1]]
    with_unknown = np.r_[values, [[np.nan, np.nan], [0.0, 1.0]]]
    assert task_scores(hidden, with_unknown) == task_scores(truth, values)


def test_what_is_undefined_is_none() -> None:
    values = np.array([[0.9, 0.1], [0.6, 0.4]])
    scores = task_scores([0, 0], values)
    assert scores.n == 2
    assert (scores.auc, scores.average_precision, scores.f1, scores.balanced_accuracy) == (
        None,
    ) * 4
    only_positives = task_scores([1, 1], values)
    assert only_positives.auc is None
    assert only_positives.average_precision == 1
    assert only_positives.f1 == 0
    assert task_scores([], np.zeros((0, 2))).auc is None


def test_a_class_that_is_missing_is_left_out_of_the_mean() -> None:
    truth, values = _task(80, 3)
    two = truth < 2
    expected = [reference.roc_auc_score(truth[two] == c, values[two, c]) for c in (0, 1)]
    assert task_scores(truth[two], values[two]).auc == pytest.approx(np.mean(expected))


def test_weights_are_as_good_as_repeated_slides() -> None:
    truth, values = _task(50, 3)
    counts = np.random.default_rng(1).integers(0, 4, (6, 50))
    for name, metric in task_metrics(truth, values).items():
        weighted = metric(counts.astype(float))
        for row, value in zip(counts, weighted, strict=True):
            repeated = np.repeat(np.arange(50), row)
            again = getattr(task_scores(truth[repeated], values[repeated]), name)
            assert value == pytest.approx(again), name


def test_folds_are_not_compared_with_each_other() -> None:
    # Each fold is in perfect order, but the second fold's model says more throughout.
    truth = np.array([0, 1, 0, 1])
    p = np.array([0.1, 0.2, 0.7, 0.8])
    values = np.stack([1 - p, p], axis=1)
    rows = [np.array([0, 1]), np.array([2, 3])]
    metric = fold_mean([task_metrics(truth[r], values[r])["auc"] for r in rows], rows)
    assert task_scores(truth, values).auc == 0.75
    assert metric(np.ones((1, 4)))[0] == 1.0
    # A draw without a positive of the first fold still has the second.
    assert metric(np.array([[1.0, 0.0, 1.0, 1.0]]))[0] == 1.0


@pytest.mark.parametrize(
    ("truth", "values", "says"),
    [
        ([0, 1], np.zeros((3, 2)), "shape"),
        ([0, 2], np.full((2, 2), 0.5), "class numbers"),
        ([0, 1], np.array([[0.5, np.nan], [0.5, 0.5]]), "not a finite number"),
        ([0, 0], np.ones((2, 1)), "two classes"),
    ],
)
def test_what_does_not_fit_is_told(truth: list[int], values: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        task_scores(truth, values)


def test_mean_and_spread_leave_out_what_is_undefined() -> None:
    spread = spread_of([0.8, None, 0.9])
    assert spread is not None
    assert (spread.mean, spread.n) == (pytest.approx(0.85), 2)
    assert spread.std == pytest.approx(np.std([0.8, 0.9], ddof=1))
    single = spread_of([0.7])
    assert single is not None
    assert single.std is None
    assert spread_of([None, None]) is None
