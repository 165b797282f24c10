"""Which columns of a cohort are tasks, and what their classes are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.errors import CohortError

__all__ = ["Task", "encode_labels", "find_tasks", "guess_task_columns"]

_MOST_CLASSES = 10
_NEGATIVE = {"0", "normal", "negative", "benign", "no", "false", "wt", "wildtype", "wild type"}
_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Task:
    """A label column that is learned.

    Parameters
    ----------
    name : str
        The column.
    classes : tuple of str
        Its values, sorted; a two-class task has its negative class first.
    positive : str or None
        The class that a two-class task asks for; None for more classes.
    """

    name: str
    classes: tuple[str, ...]
    positive: str | None


def guess_task_columns(cohort: Cohort) -> tuple[str, ...]:
    """Return the label columns that look like classes.

    A column does when it has 2 to 10 different values, each on two slides or more, and is not a
    number of more than two values.
    """
    return tuple(column for column in cohort.label_columns if _looks_like_classes(cohort, column))


def find_tasks(cohort: Cohort, names: Sequence[str], train: NDArray[np.bool_]) -> tuple[Task, ...]:
    """Return the tasks with the classes that the training slides show.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    names : sequence of str
        Columns; empty guesses them.
    train : ndarray
        (n,) True for training slides.

    Raises
    ------
    CohortError
        If a column is unknown or holds one class only.
    """
    unknown = [name for name in names if name not in cohort.label_columns]
    if unknown:
        columns = ", ".join(f"'{column}'" for column in cohort.label_columns) or "none"
        raise CohortError(
            f"The cohort table '{cohort.table}' has no label column '{unknown[0]}'. "
            f"Its label columns are {columns}; choose among them with cohort.tasks."
        )
    return tuple(_task(cohort, name, train) for name in names or guess_task_columns(cohort))


def encode_labels(cohort: Cohort, tasks: Sequence[Task]) -> NDArray[np.int64]:
    """Return (n, n_tasks) class numbers, -1 where the label is missing or was never trained."""
    encoded = np.full((len(cohort), len(tasks)), -1, dtype=np.int64)
    for column, task in enumerate(tasks):
        number = {name: index for index, name in enumerate(task.classes)}
        for row, label in enumerate(cohort.labels(task.name)):
            encoded[row, column] = number.get(str(label), -1)
    return encoded


def _looks_like_classes(cohort: Cohort, column: str) -> bool:
    counts = Counter(str(label) for label in cohort.labels(column) if label)
    if not 2 <= len(counts) <= _MOST_CLASSES or min(counts.values()) < 2:
        return False
    return len(counts) == 2 or not all(_NUMBER.fullmatch(label) for label in counts)


def _task(cohort: Cohort, name: str, train: NDArray[np.bool_]) -> Task:
    labels = {str(label) for label in cohort.labels(name)[train] if label}
    if len(labels) < 2:
        found = f"only '{next(iter(labels))}'" if labels else "no value at all"
        raise CohortError(
            f"The training slides of '{cohort.table}' show {found} in the column '{name}', "
            "so it cannot be learned. Add slides of another class or leave it out of cohort.tasks."
        )
    classes = tuple(sorted(labels, key=lambda label: (label.lower() not in _NEGATIVE, label)))
    return Task(name, classes, classes[1] if len(classes) == 2 else None)
