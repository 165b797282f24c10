"""Whole groups of slides, such as patients, dealt onto sides so that every class is spread evenly.

Knows counts only: which slides are a group, and what the sides are for, is the caller's business.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.errors import CohortError

__all__ = ["count_classes", "deal_groups", "unevenness"]

_PASSES = 10


def count_classes(
    cohort: Cohort, columns: Sequence[str], groups: Sequence[str], names: Sequence[str]
) -> NDArray[np.float64]:
    """Count what each group holds.

    Parameters
    ----------
    cohort : Cohort
        The slides.
    columns : sequence of str
        Label columns; missing labels are not counted.
    groups : sequence of str
        (n) group of each slide.
    names : sequence of str
        (g) the groups that count; slides of others are passed over.

    Returns
    -------
    ndarray of float64, shape (g, m)
        Slides, patients, and slides of each class that occurs.

    Raises
    ------
    CohortError
        If a column is no label column.
    """
    number = {name: index for index, name in enumerate(names)}
    kinds: dict[tuple[str, str], set[tuple[int, str]]] = {}
    for row, group in zip(cohort.rows, groups, strict=True):
        if group not in number:
            continue
        place = number[group]
        kinds.setdefault(("", "slides"), set()).add((place, row.slide_id))
        kinds.setdefault(("", "patients"), set()).add((place, row.patient_id))
        for column in columns:
            label = _label(cohort, row.labels, column)
            if label:
                kinds.setdefault((column, label), set()).add((place, row.slide_id))
    counts = np.zeros((len(names), len(kinds)))
    for index, kind in enumerate(sorted(kinds)):
        for place, _ in kinds[kind]:
            counts[place, index] += 1
    return counts


def deal_groups(
    counts: NDArray[np.float64], shares: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Deal groups onto sides, greedily, then group by group once more until nothing moves.

    Groups with much of a rare class come first, as in iterative stratification (Sechidis et al.
    2011); each goes where the squared distance of all counts from their targets, each divided by
    its target, grows least.

    Parameters
    ----------
    counts : ndarray
        (g, m) what each group holds, each column with a sum above 0.
    shares : ndarray
        (k,) share of the whole that each side should get; they sum to 1.
    generator : Generator
        Decides among equals.

    Returns
    -------
    ndarray of int64, shape (g,)
        Side of each group; no side is empty as long as there are k groups.
    """
    targets = np.outer(shares, counts.sum(axis=0))
    held = np.zeros_like(targets)
    sides = np.full(len(counts), -1)
    rarity = (counts / counts.sum(axis=0)).max(axis=1)
    order = np.lexsort((generator.random(len(counts)), -rarity))
    for _ in range(_PASSES):
        before = sides.copy()
        for group in order:
            content = counts[group]
            if sides[group] >= 0:
                held[sides[group]] -= content
            cost = ((2 * (held - targets) + content) * content / targets).sum(axis=1)
            sides[group] = int(cost.argmin())
            held[sides[group]] += content
        if np.array_equal(before, sides):
            break
        order = generator.permutation(len(counts))
    return _without_empty_sides(counts, sides, len(shares))


def unevenness(
    counts: NDArray[np.float64], targets: NDArray[np.float64], sides: NDArray[np.int64]
) -> float:
    """Return the sum over sides and columns of abs(count - target) / target.

    Parameters
    ----------
    counts : ndarray
        (g, m) what each group holds.
    targets : ndarray
        (k, m) what each side should hold, above 0.
    sides : ndarray
        (g,) side of each group.
    """
    held = np.stack([counts[sides == side].sum(axis=0) for side in range(len(targets))])
    return float((np.abs(held - targets) / targets).sum())


def _label(cohort: Cohort, labels: dict[str, str], column: str) -> str:
    if column not in labels:
        known = ", ".join(f"'{name}'" for name in cohort.label_columns) or "none"
        raise CohortError(
            f"The cohort table '{cohort.table}' has no label column '{column}'. Its label columns "
            f"are {known}."
        )
    return labels[column]


def _without_empty_sides(
    counts: NDArray[np.float64], sides: NDArray[np.int64], n_sides: int
) -> NDArray[np.int64]:
    """Give each empty side the smallest group of a side that has another."""
    smallest_first = np.argsort(counts.sum(axis=1), kind="stable")
    for empty in set(range(n_sides)) - set(sides.tolist()):
        for group in smallest_first:
            if (sides == sides[group]).sum() > 1:
                sides[group] = empty
                break
    return sides
