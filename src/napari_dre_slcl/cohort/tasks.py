"""Which columns of a cohort are tasks, and what their classes are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.shared_labels import shared_labels
from napari_dre_slcl.errors import CohortError

__all__ = [
    "NEGATIVE_CLASSES",
    "Task",
    "encode_labels",
    "find_tasks",
    "guess_task_columns",
    "left_out_columns",
]

_MOST_CLASSES = 10
_SHOWN_COLUMNS = 8
NEGATIVE_CLASSES = frozenset(
    {"0", "normal", "negative", "benign", "no", "false", "wt", "wildtype", "wild type"}
)
"""What the negative class of a yes-or-no task is called, in small letters."""
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
    return tuple(column for column in cohort.label_columns if not _why_no_classes(cohort, column))


def find_tasks(cohort: Cohort, names: Sequence[str], train: NDArray[np.bool_]) -> tuple[Task, ...]:
    """Return the tasks with the classes that the training slides show.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    names : sequence of str
        Columns; empty guesses them, among those that show two classes on the training slides.
    train : ndarray
        (n,) True for training slides.

    Raises
    ------
    CohortError
        If a column that is named is unknown, or shows one class only on the training slides.
    """
    unknown = [name for name in names if name not in cohort.label_columns]
    if unknown:
        columns = ", ".join(f"'{column}'" for column in cohort.label_columns) or "none"
        raise CohortError(
            f"The cohort table '{cohort.table}' has no label column '{unknown[0]}'. "
            f"Its label columns are {columns}; choose among them with cohort.tasks."
        )
    if not names:
        guessed = guess_task_columns(cohort)
        names = [name for name in guessed if len(_shown_labels(cohort, name, train)) > 1]
    return tuple(_task(cohort, name, train) for name in names)


def left_out_columns(cohort: Cohort, tasks: Sequence[Task], train: NDArray[np.bool_]) -> str:
    """Return the label columns that are not learned and why, such as ``'grade' (no value)``.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    tasks : sequence of Task
        What is learned.
    train : ndarray
        (n,) True for training slides.
    """
    learned, shared = {task.name for task in tasks}, shared_labels(cohort)
    found = []
    for column in cohort.label_columns:
        if column not in learned:
            why = _why_no_classes(cohort, column) or _one_class(cohort, column, train)
            if "'" in why and column not in shared:  # it may be a patient's name
                why = "no two patients share a value"
            found.append(f"'{column}' ({why})" if why else f"'{column}'")
    rest = len(found) - _SHOWN_COLUMNS
    return ", ".join(found[:_SHOWN_COLUMNS]) + (f" and {rest} more" if rest > 0 else "")


def encode_labels(cohort: Cohort, tasks: Sequence[Task]) -> NDArray[np.int64]:
    """Return (n, n_tasks) class numbers, -1 where the label is missing or was never trained."""
    encoded = np.full((len(cohort), len(tasks)), -1, dtype=np.int64)
    for column, task in enumerate(tasks):
        number = {name: index for index, name in enumerate(task.classes)}
        for row, label in enumerate(cohort.labels(task.name)):
            encoded[row, column] = number.get(str(label), -1)
    return encoded


def _why_no_classes(cohort: Cohort, column: str) -> str:
    """Return why the values of a column are no classes, empty where they are."""
    counts = Counter(str(label) for label in cohort.labels(column) if label)
    if not counts:
        return "no value"
    if len(counts) == 1:
        return f"only '{next(iter(counts))}'"
    if len(counts) > 2 and all(_NUMBER.fullmatch(label) for label in counts):
        return "numbers"
    if len(counts) > _MOST_CLASSES:
        return f"{len(counts)} different values"
    rarest = min(counts, key=lambda label: counts[label])
    return f"'{rarest}' on one slide only" if counts[rarest] < 2 else ""


def _one_class(cohort: Cohort, column: str, train: NDArray[np.bool_]) -> str:
    """Return what the training slides show where that is one class or none, else nothing."""
    labels = _shown_labels(cohort, column, train)
    if len(labels) > 1:
        return ""
    found = f"only '{next(iter(labels))}'" if labels else "no value"
    return f"{found} on the training slides"


def _shown_labels(cohort: Cohort, column: str, chosen: NDArray[np.bool_]) -> set[str]:
    return {str(label) for label in cohort.labels(column)[chosen] if label}


def _task(cohort: Cohort, name: str, train: NDArray[np.bool_]) -> Task:
    labels = _shown_labels(cohort, name, train)
    if len(labels) < 2:
        found = f"only '{next(iter(labels))}'" if labels else "no value at all"
        elsewhere = sorted(_shown_labels(cohort, name, ~train) - labels)
        others = ", ".join(f"'{label}'" for label in elsewhere)
        hidden = f" ({others} is on held-out slides only)" if others else ""
        raise CohortError(
            f"The training slides of '{cohort.table}' show {found} in the column '{name}'{hidden}, "
            "so it cannot be learned. Add training slides of another class or leave the column "
            "out of cohort.tasks."
        )
    classes = tuple(
        sorted(labels, key=lambda label: (label.lower() not in NEGATIVE_CLASSES, label))
    )
    return Task(name, classes, classes[1] if len(classes) == 2 else None)
