"""Whether slides find their reports and reports their slides, beyond what the hospital tells.

Slides and reports of a hospital resemble each other by stain and by wording. So every figure has
a control beside it, in which the patients of a hospital have swapped their reports: the gain over
it is what a model knows of the patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

__all__ = ["Recall", "Retrieval", "retrieval"]

_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Recall:
    """How often what is sought is among the first k.

    Parameters
    ----------
    k : int
        Places that are looked at.
    value : float
        Share of queries with a hit among them.
    control : float
        The same, mean over shuffles of reports within each site.
    control_std : float
        Spread over those shuffles.
    p : float
        Share of shuffles that do as well or better, the true order counted among them.
    """

    k: int
    value: float
    control: float
    control_std: float
    p: float

    @property
    def gain(self) -> float:
        """Value minus control."""
        return self.value - self.control


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Retrieval both ways.

    Parameters
    ----------
    slide_to_report, report_to_slide : tuple of Recall
        One per k.
    n_slides, n_reports, n_patients : int
        Slides with a report, different reports, and patients.
    n_alone : int
        Patients who are the only one of their site: no shuffle moves them.
    """

    slide_to_report: tuple[Recall, ...]
    report_to_slide: tuple[Recall, ...]
    n_slides: int
    n_reports: int
    n_patients: int
    n_alone: int


def retrieval(
    slides: ArrayLike,
    reports: ArrayLike,
    patients: ArrayLike,
    sites: ArrayLike,
    *,
    ks: Sequence[int] = (1, 5, 10),
    n_shuffles: int = 200,
    seed: int = 0,
) -> Retrieval | None:
    """Measure recall at k between slides and reports, and its control.

    A slide seeks among the different reports, a report among all slides. A hit is any report, or
    slide, of the same patient, and a report that reads the same as one of them. Whatever is
    equally near counts as nearer, so that equal vectors find nothing.

    Parameters
    ----------
    slides : array_like
        (n, d) unit vectors of slides, in report space.
    reports : array_like
        (n, d) unit vectors of the report of each slide; equal rows are one report.
    patients, sites : array_like
        (n,) whose each slide is, and where from. Slides of unknown site are one site.
    ks : sequence of int
        Places to look at.
    n_shuffles, seed : int
        Of the control.

    Returns
    -------
    Retrieval or None
        None with fewer than two different reports.

    Raises
    ------
    ValueError
        If shapes differ.
    """
    vectors, texts = np.asarray(slides, dtype=np.float64), np.asarray(reports, dtype=np.float64)
    who, place = np.asarray(patients), np.asarray(sites)
    _check_shapes(vectors, texts, who, place)
    n = len(vectors)
    if not n:
        return None
    gallery, report_of = np.unique(texts, axis=0, return_inverse=True)
    if len(gallery) < 2:
        return None
    _, first, patient_of = np.unique(who, return_index=True, return_inverse=True)
    search = _Search(vectors, gallery, patient_of.ravel(), report_of.ravel())
    site_of = np.unique(place[first], return_inverse=True)[1].ravel()
    real = search.best_ranks(np.arange(len(first)))
    shuffled = [search.best_ranks(order) for order in _shuffles(site_of, n_shuffles, seed)]
    to_report, to_slide = (
        tuple(_recall(k, ranks, [both[way] for both in shuffled]) for k in ks)
        for way, ranks in enumerate(real)
    )
    n_alone = int((np.bincount(site_of) == 1).sum())
    return Retrieval(to_report, to_slide, n, len(gallery), len(first), n_alone)


def _check_shapes(
    slides: NDArray[np.generic],
    reports: NDArray[np.generic],
    patients: NDArray[np.generic],
    sites: NDArray[np.generic],
) -> None:
    of_each = {patients.shape, sites.shape}
    if slides.ndim != 2 or reports.shape != slides.shape or of_each != {(len(slides),)}:
        raise ValueError(
            f"slides {slides.shape}, reports {reports.shape}, patients {patients.shape} and sites "
            f"{sites.shape} do not belong together"
        )


def _shuffles(site_of: NDArray[np.int64], n: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Give for each patient the patient of the same site whose reports he gets."""
    rng = np.random.default_rng(seed)
    by_site = np.argsort(site_of, kind="stable")
    for _ in range(n):
        order = np.empty_like(by_site)
        order[by_site] = np.lexsort((rng.random(len(site_of)), site_of))
        yield order


def _recall(k: int, ranks: NDArray[np.int64], shuffled: Sequence[NDArray[np.int64]]) -> Recall:
    value = float((ranks <= k).mean())
    control = np.array([(others <= k).mean() for others in shuffled])
    n_as_good = int((control >= value).sum())
    p = (1 + n_as_good) / (1 + len(control))
    return Recall(k, value, float(control.mean()), float(control.std()), p)


class _Search:
    """All ranks, computed once: a shuffle only changes which of them are hits.

    Parameters
    ----------
    slides : ndarray
        (n, d).
    gallery : ndarray
        (r, d) different reports.
    patient_of, report_of : ndarray
        (n,) number of each slide's patient and report.
    """

    def __init__(
        self,
        slides: NDArray[np.float64],
        gallery: NDArray[np.float64],
        patient_of: NDArray[np.int64],
        report_of: NDArray[np.int64],
    ) -> None:
        # Equal vectors are equally near, whatever the order of summation.
        near = np.round(slides @ gallery.T, _DIGITS)
        n_patients = int(patient_of.max()) + 1
        self._patient_of = patient_of
        owned = np.unique(np.stack([report_of, patient_of], axis=1), axis=0)
        self._report, self._owner = owned[:, 0], owned[:, 1]
        self._first_of_report = np.flatnonzero(np.r_[True, np.diff(self._report) > 0])
        # The best place, for each slide, of the reports of each patient, and the other way round.
        places = rankdata(-near, method="max", axis=1).astype(np.int64)
        by_owner = np.argsort(self._owner, kind="stable")
        starts = np.searchsorted(self._owner[by_owner], np.arange(n_patients))
        reports = self._report[by_owner]
        self._to_reports = np.minimum.reduceat(places[:, reports], starts, axis=1)
        places = rankdata(-near, method="max", axis=0).astype(np.int64)
        by_patient = np.argsort(patient_of, kind="stable")
        starts = np.searchsorted(patient_of[by_patient], np.arange(n_patients))
        self._to_slides = np.minimum.reduceat(places[by_patient], starts, axis=0)

    def best_ranks(self, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the best rank of a hit, for each slide and for each report.

        Parameters
        ----------
        order : ndarray
            (patients,) the patient whose reports each patient has.
        """
        slides = np.arange(len(self._patient_of))
        of_slides = self._to_reports[slides, order[self._patient_of]]
        has_it = np.empty_like(order)
        has_it[order] = np.arange(len(order))
        of_pairs = self._to_slides[has_it[self._owner], self._report]
        return of_slides, np.minimum.reduceat(of_pairs, self._first_of_report)
