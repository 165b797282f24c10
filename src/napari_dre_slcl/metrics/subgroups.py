"""One task's scores hospital by hospital."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_dre_slcl.metrics.bootstrap import Interval, score_intervals
from napari_dre_slcl.metrics.scores import Scores, task_scores
from napari_dre_slcl.metrics.weighted import check_predictions

__all__ = ["TOO_FEW", "SiteScores", "scores_by_site"]

TOO_FEW = "too few"


@dataclass(frozen=True, slots=True)
class SiteScores:
    """Scores of the labelled slides of one site.

    Parameters
    ----------
    site : str
        Its name; empty for slides of unknown site.
    n_slides, n_patients : int
        Slides with a label, and whose they are.
    patients_by_class : tuple of int
        Patients of each class, in the order of the classes.
    accuracy : float
        Share of slides whose most probable class is right.
    scores : Scores
        Defined as in `task_scores`; all but n are None where a note stands.
    auc : Interval or None
        The AUC and its interval over patients.
    note : str
        ``too few`` where a site has fewer than `min_patients` patients of some class; such a
        score would be noise.
    """

    site: str
    n_slides: int
    n_patients: int
    patients_by_class: tuple[int, ...]
    accuracy: float
    scores: Scores
    auc: Interval | None
    note: str


def scores_by_site(
    truth: ArrayLike,
    probabilities: ArrayLike,
    sites: ArrayLike,
    patients: ArrayLike,
    *,
    min_patients: int = 5,
    n_resamples: int = 1000,
    seed: int = 0,
) -> tuple[SiteScores, ...]:
    """Return the scores of each site, the largest first, slides of unknown site last.

    A class that no slide of the whole table has is not asked of a site.

    Parameters
    ----------
    truth : array_like
        (n,) class numbers, -1 where unknown; such slides count nowhere.
    probabilities : array_like
        (n, C).
    sites, patients : array_like
        (n,) where each slide is from, and whose it is.
    min_patients : int
        Patients of each class that a site needs for scores.
    n_resamples, seed : int
        Of the interval, see `score_intervals`.
    """
    labels, values = check_predictions(truth, probabilities)
    known = labels >= 0
    labels, values = labels[known], values[known]
    places, who = np.asarray(sites, dtype=np.str_)[known], np.asarray(patients)[known]
    needed = np.unique(labels)

    def scores_at(site: str) -> SiteScores:
        rows = places == site
        counts = tuple(len(np.unique(who[rows & (labels == c)])) for c in range(values.shape[1]))
        scores, auc = Scores(int(rows.sum()), None, None, None, None), None
        is_enough = all(counts[c] >= min_patients for c in needed)
        if is_enough:
            here = (labels[rows], values[rows])
            scores = task_scores(*here)
            auc = score_intervals(*here, who[rows], n_resamples=n_resamples, seed=seed)["auc"]
        return SiteScores(
            site=site,
            n_slides=scores.n,
            n_patients=len(np.unique(who[rows])),
            patients_by_class=counts,
            accuracy=float((values[rows].argmax(axis=1) == labels[rows]).mean()),
            scores=scores,
            auc=auc,
            note="" if is_enough else TOO_FEW,
        )

    table = [scores_at(str(site)) for site in np.unique(places)]
    return tuple(sorted(table, key=lambda row: (row.site == "", -row.n_slides, row.site)))
