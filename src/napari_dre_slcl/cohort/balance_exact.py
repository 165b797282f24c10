"""Few large groups, such as hospitals, dealt onto sides by integer programming.

Knows counts only, as `balance` does.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from napari_dre_slcl.cohort.balance import deal_groups, unevenness

__all__ = ["deal_large_groups"]

_ROUNDS = 2
# Nodes, not seconds, end a search: the folds are the same on a slow machine.
_NODES = 300
_LONGEST_S = 20.0


def deal_large_groups(
    counts: NDArray[np.float64], shares: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Deal groups onto sides so that `unevenness` is small.

    With a few dozen groups of very different sizes a greedy draw stays far from what is possible,
    and one program over all sides is too symmetric to be solved in seconds. So the groups of each
    pair of sides are dealt anew between the two, which HiGHS solves well, and the better deal is
    kept.

    Parameters
    ----------
    counts : ndarray
        (g, m) what each group holds, each column with a sum above 0.
    shares : ndarray
        (k,) share of the whole that each side should get; they sum to 1.
    generator : Generator
        Of the first draw and of the order in which the solver sees the groups.

    Returns
    -------
    ndarray of int64, shape (g,)
        Side of each group; no side is empty as long as there are k groups.
    """
    targets = np.outer(shares, counts.sum(axis=0))
    sides = deal_groups(counts, shares, generator)
    best = unevenness(counts, targets, sides)
    for _ in range(_ROUNDS):
        before = best
        for first, second in combinations(range(len(shares)), 2):
            rows = generator.permutation(np.flatnonzero((sides == first) | (sides == second)))
            is_first = _halve(counts[rows], targets[first], targets[second])
            if is_first is None:
                continue
            tried = sides.copy()
            tried[rows] = np.where(is_first, first, second)
            reached = unevenness(counts, targets, tried)
            if reached < best - 1e-9:
                sides, best = tried, reached
        if best > before - 1e-9:
            break
    return sides


def _halve(
    counts: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.bool_] | None:
    """Return (g,) True for groups on the first of two sides; None where the solver finds nothing.

    Unknowns are g yes-or-no numbers and, for each side and column, a bound on the distance from its
    target; the sum of the bounds, each divided by its target, is made small.
    """
    n_groups, n_columns = counts.shape
    held, bound, nothing = counts.T, np.eye(n_columns), np.zeros((n_columns, n_columns))
    missing = second - counts.sum(axis=0)
    found = milp(
        np.concatenate([np.zeros(n_groups), 1 / first, 1 / second]),
        integrality=np.repeat([1, 0], [n_groups, 2 * n_columns]),
        bounds=Bounds(0, np.repeat([1, np.inf], [n_groups, 2 * n_columns])),
        constraints=[
            LinearConstraint(np.hstack([held, -bound, nothing]), -np.inf, first),
            LinearConstraint(np.hstack([held, bound, nothing]), first, np.inf),
            LinearConstraint(np.hstack([-held, nothing, -bound]), -np.inf, missing),
            LinearConstraint(np.hstack([-held, nothing, bound]), missing, np.inf),
            LinearConstraint(np.repeat([1, 0], [n_groups, 2 * n_columns]), 1, n_groups - 1),
        ],
        options={"node_limit": _NODES, "time_limit": _LONGEST_S},
    )
    return None if found.x is None else np.asarray(found.x[:n_groups] > 0.5)
