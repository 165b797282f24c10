"""Folds without a hospital on two sides: what a model is worth where it has never been."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.balance import count_classes
from napari_dre_slcl.cohort.balance_exact import deal_large_groups
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.cohort.folds import (
    Fold,
    check_fold_settings,
    check_learnable,
    with_validation,
)
from napari_dre_slcl.errors import CohortError

__all__ = ["site_folds"]

_SHOWN = 5
# How far the share of slides in validation may be from what was asked for, as a factor.
_FARTHEST_SHARE = 2.0


def site_folds(
    cohort: Cohort, columns: Sequence[str], n_folds: int, seed: int, val_fraction: float = 0.0
) -> tuple[Fold, ...]:
    """Make site-preserved folds (Howard et al. 2021): no site on two sides, labels balanced.

    Each slide is tested in exactly one fold. Validation is by site too where sites of about the
    right size with two classes of each column are left for it, and by patient elsewhere.

    Parameters
    ----------
    cohort : Cohort
        The slides; each has a site.
    columns : sequence of str
        Label columns whose classes are spread as evenly as whole sites allow.
    n_folds : int
        2 or more.
    seed : int
        Of the draw.
    val_fraction : float
        Share of the training slides that validate; 0 for none.

    Raises
    ------
    CohortError
        If slides have no site, there are fewer sites than folds, or a training part shows fewer
        than two classes of a column.
    ConfigError
        If ``n_folds`` or ``val_fraction`` is out of range.
    """
    check_fold_settings(n_folds, val_fraction)
    sites = np.array([row.site for row in cohort.rows], dtype=np.str_)
    names = np.unique(sites)
    _check_sites(cohort, names, n_folds)
    sides = _deal(cohort, columns, sites, names, np.full(n_folds, 1 / n_folds), [seed])
    folds = []
    for number in range(n_folds):
        split = np.where(np.isin(sites, names[sides == number]), "test", "train")
        split = _with_validation(cohort, split, columns, val_fraction, [seed, number])
        folds.append(Fold(f"site-{number}", split))
    check_learnable(cohort, columns, folds)
    return tuple(folds)


def _deal(
    cohort: Cohort,
    columns: Sequence[str],
    groups: NDArray[np.str_],
    names: NDArray[np.str_],
    shares: NDArray[np.float64],
    seed: list[int],
) -> NDArray[np.int64]:
    counts = count_classes(cohort, columns, [str(group) for group in groups], names.tolist())
    return deal_large_groups(counts, shares, np.random.default_rng(seed))


def _with_validation(
    cohort: Cohort,
    split: NDArray[np.str_],
    columns: Sequence[str],
    fraction: float,
    seed: list[int],
) -> NDArray[np.str_]:
    """Move sites of the training part to validation, or patients where sites will not do."""
    if not fraction:
        return split
    groups = np.array(
        [row.site if side == "train" else "" for row, side in zip(cohort.rows, split, strict=True)],
        dtype=np.str_,
    )
    names = np.unique(groups[split == "train"])
    if len(names) > 1:
        shares = np.array([1 - fraction, fraction])
        sides = _deal(cohort, columns, groups, names, shares, seed)
        by_site = np.where(np.isin(groups, names[sides == 1]), "val", split)
        if _is_fair(cohort, by_site, columns, fraction):
            return by_site
    return with_validation(cohort, split, columns, fraction, np.random.default_rng(seed))


def _is_fair(
    cohort: Cohort, split: NDArray[np.str_], columns: Sequence[str], fraction: float
) -> bool:
    """Return whether both parts show two classes of each column and have about the right size."""
    share = (split == "val").sum() / np.isin(split, ["train", "val"]).sum()
    if not fraction / _FARTHEST_SHARE <= share <= fraction * _FARTHEST_SHARE:
        return False
    return all(
        len({*cohort.labels(column)[split == side].tolist()} - {""}) > 1
        for column in columns
        for side in ("train", "val")
    )


def _check_sites(cohort: Cohort, names: NDArray[np.str_], n_folds: int) -> None:
    unknown = [row for row in cohort.rows if not row.site]
    if unknown:
        shown = ", ".join(f"row {row.number} ('{row.slide_id}')" for row in unknown[:_SHOWN])
        more = f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
        raise CohortError(
            f"{len(unknown):,} of {len(cohort):,} slides of '{cohort.table}' have no site: "
            f"{shown}{more}. Fill the column 'site', or make folds by patient."
        )
    if len(names) < n_folds:
        raise CohortError(
            f"The cohort table '{cohort.table}' has {len(names)} sites ({_quoted(names.tolist())}),"
            f" too few for {n_folds} folds without a site on two sides. Ask for fewer folds, or "
            "make folds by patient."
        )


def _quoted(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + (f" and {rest:,} more" * (rest > 0))
