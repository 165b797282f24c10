"""Which words of the reports go with a model: those that several patients share.

A word of one report may be a name, a date or a number of a case. Knows text and vectors only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from napari_dre_slcl.cohort.reports import ReportEncoder

__all__ = ["LEAST_PATIENTS", "keep_shared_words"]

LEAST_PATIENTS = 3
"""A word or pair of words of fewer patients than these stays out of the model folder."""


def keep_shared_words(
    encoder: ReportEncoder,
    reports: Sequence[str],
    patients: Sequence[str],
    least: int = LEAST_PATIENTS,
) -> ReportEncoder | None:
    """Return an encoder that knows only words and pairs of words of several patients.

    The vector of a phrase of words and pairs that are kept, or that were never known, is the one
    of before: what is left of it is weighed as it was, and brought to length 1.

    Parameters
    ----------
    encoder : ReportEncoder
        Fitted on the reports.
    reports : sequence of str
        The n training reports; equal ones count as one, as a patient may have two ids.
    patients : sequence of str
        (n,) whose they are.
    least : int
        Patients that a word must have.

    Returns
    -------
    ReportEncoder or None
        None where no word has so many.
    """
    has = encoder.occurrences(reports)
    n_patients = np.minimum(_groups_with(has, patients), _groups_with(has, reports))
    is_kept = n_patients >= least
    return encoder.reduced_to(is_kept) if is_kept.any() else None


def _groups_with(has: csr_matrix, groups: Sequence[str]) -> NDArray[np.int64]:
    """Return of how many groups of rows each column has an entry."""
    _, group = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    rows = np.arange(len(group))
    member = csr_matrix((np.ones(len(group), np.int64), (group, rows)))
    counts: NDArray[np.int64] = np.asarray(((member @ has) > 0).sum(axis=0)).ravel()
    return counts
