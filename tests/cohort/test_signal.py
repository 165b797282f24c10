"""Cohorts that a loss, or no loss at all, can learn from."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.cohort.cohort import Cohort, read_cohort
from napari_dre_slcl.cohort.signal import check_signal
from napari_dre_slcl.cohort.tasks import find_tasks, left_out_columns
from napari_dre_slcl.config import LossConfig, TrainingConfig
from napari_dre_slcl.errors import CohortError

N = 8


def _cohort(folder: Path, **columns: list[str] | str) -> Cohort:
    """Return a cohort of eight slides; a text fills a whole column."""
    given = {
        "slide": [f"s{row}.tif" for row in range(N)],
        "patient_id": [f"P{row}" for row in range(N)],
    } | columns
    filled = {name: [v] * N if isinstance(v, str) else v for name, v in given.items()}
    for name in filled["slide"]:
        (folder / name).touch()
    lines = [",".join(filled), *(",".join(row) for row in zip(*filled.values(), strict=True))]
    table = folder / "cohort.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_cohort(table)


def _check(
    cohort: Cohort, n_train: int = N, training: TrainingConfig | None = None, **weights: float
) -> tuple[str, ...]:
    split = np.where(np.arange(N) < n_train, "train", "test")
    texts = [row.report for row in cohort.rows[:n_train]]
    # One direction for each different text, none where there is none.
    known = sorted({*texts} - {""})
    vectors = np.array([[text == one for one in known] for text in texts], dtype=np.float32)
    tasks = find_tasks(cohort, [], split == "train")
    return check_signal(
        cohort,
        split,
        tasks,
        vectors.reshape(n_train, -1),
        LossConfig(**weights),
        training or TrainingConfig(),
    )


HALVES = list("AAAABBBB")
PAIRS = list("ABABABAB")
TEXTS = [f"report {row}" for row in range(N)]


@pytest.mark.parametrize(
    ("columns", "weights"),
    [
        ({"subtype": PAIRS}, {}),
        ({"report": TEXTS}, {}),
        ({"report": TEXTS}, {"task_weight": 0}),
        ({}, {"view_weight": 1}),
        ({"subtype": PAIRS, "report": ""}, {"contrastive_weight": 0}),
    ],
)
def test_one_thing_to_learn_from_is_enough(tmp_path: Path, columns, weights) -> None:
    assert _check(_cohort(tmp_path, **columns), **weights) == ()


@pytest.mark.parametrize(
    ("columns", "weights", "reasons"),
    [
        ({}, {}, ["has no label column", "no training slide has a report"]),
        ({"subtype": "A"}, {}, [r"shows two classes: 'subtype' \(only 'A'\)"]),
        ({"subtype": ""}, {}, [r"'subtype' \(no value\)"]),
        ({"subtype": HALVES}, {}, [r"'subtype' \(only 'A' on the training slides\)"]),
        ({"report": ""}, {"view_weight": 0}, ["no training slide has a report", "view_weight"]),
        ({"subtype": PAIRS}, {"task_weight": 0}, ["task_weight is 0", "has a report"]),
        ({"report": TEXTS}, {"contrastive_weight": 0}, ["contrastive_weight is 0"]),
        ({"report": "one text"}, {}, ["the reports of all training slides say the same"]),
        ({"report": TEXTS, "patient_id": "P"}, {}, ["all reports are of the patient 'P'"]),
        ({"patient_id": "P"}, {"view_weight": 1}, ["training slides are of the patient 'P'"]),
    ],
)
def test_nothing_to_learn_is_refused_with_the_reasons(
    tmp_path: Path, columns, weights, reasons
) -> None:
    cohort = _cohort(tmp_path, **columns)
    with pytest.raises(CohortError) as caught:
        _check(cohort, n_train=4, **weights)
    for reason in reasons:
        assert re.search(reason, str(caught.value))
    assert str(cohort.table) in str(caught.value)


def test_a_loss_beside_others_that_learns_nothing_is_told(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path, subtype=PAIRS, report="one text", patient_id="P")
    assert _check(cohort, view_weight=1) == (
        "The contrast of reports learns nothing: all reports are of the patient 'P'.",
        "The contrast of views learns nothing: all training slides are of the patient 'P'.",
    )


def test_a_task_with_one_class_in_validation_is_told(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path, subtype=PAIRS, grade=[*"ABABAB", *"AA"])
    split = np.where(np.arange(N) < 6, "train", "val")
    tasks = find_tasks(cohort, [], split == "train")
    none = np.zeros((6, 0), dtype=np.float32)
    assert check_signal(cohort, split, tasks, none, LossConfig(), TrainingConfig()) == (
        "'grade' has one class only among the validation slides, so they cannot judge it.",
    )


def test_a_guessed_column_of_one_class_in_training_is_left_out(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path, subtype=HALVES, grade=PAIRS)
    (task,) = find_tasks(cohort, [], np.arange(N) < 4)
    assert task.name == "grade"


def test_a_column_that_is_asked_for_must_show_two_classes_in_training(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path, subtype=HALVES)
    said = r"show only 'A' in the column 'subtype' \('B' is on held-out slides only\)"
    with pytest.raises(CohortError, match=said):
        find_tasks(cohort, ["subtype"], np.arange(N) < 4)


def test_columns_that_are_not_learned_are_named_with_the_reason(tmp_path: Path) -> None:
    cohort = _cohort(
        tmp_path,
        grade=PAIRS,
        empty="",
        one="A",
        age=[str(50 + row) for row in range(N)],
        few=["A"] * 7 + ["B"],
        split_up=HALVES,
    )
    train = np.arange(N) < 4
    assert left_out_columns(cohort, find_tasks(cohort, [], train), train) == (
        "'empty' (no value), 'one' (only 'A'), 'age' (numbers), 'few' ('B' on one slide only), "
        "'split_up' (only 'A' on the training slides)"
    )


def test_many_columns_are_counted(tmp_path: Path) -> None:
    cohort = _cohort(tmp_path, **{f"c{number}": "" for number in range(10)})
    shown = left_out_columns(cohort, (), np.ones(N, dtype=bool))
    assert shown.startswith("'c0' (no value), ")
    assert shown.endswith("'c7' (no value) and 2 more")


@pytest.mark.parametrize(
    ("settings", "weights", "sentence"),
    [
        ({"slides_per_batch": 1}, {}, r"reports.*a batch holds one slide"),
        ({"slides_per_batch": 1}, {"view_weight": 1}, r"views.*a batch holds one slide"),
        ({"fresh_tiles": 1}, {"view_weight": 1}, r"views.*needs two fresh tiles"),
        ({"within_site": True}, {}, r"reports.*no site has two patients"),
    ],
)
def test_batches_without_negatives_are_told_or_refused(
    tmp_path: Path, settings, weights, sentence
) -> None:
    cohort = _cohort(tmp_path, subtype=PAIRS, report=TEXTS, site=[f"H{row}" for row in range(N)])
    training = TrainingConfig(**settings)
    assert any(re.search(sentence, said) for said in _check(cohort, training=training, **weights))
    alone = {"task_weight": 0, "contrastive_weight": 0} | weights
    if "view_weight" not in weights:
        alone["contrastive_weight"] = 1
    with pytest.raises(CohortError, match="Nothing can be learned"):
        _check(cohort, training=training, **alone)
