"""Report text to vectors: TF-IDF and truncated SVD, fitted on training reports, offline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from napari_dre_slcl.errors import CohortError

__all__ = ["ReportEncoder", "fit_report_encoder"]


class ReportEncoder:
    """TF-IDF and SVD that have seen the training reports.

    Parameters
    ----------
    vectorizer : TfidfVectorizer
        Fitted.
    svd : TruncatedSVD
        Fitted.
    """

    def __init__(self, vectorizer: TfidfVectorizer, svd: TruncatedSVD) -> None:
        self._vectorizer = vectorizer
        self._svd = svd

    @property
    def dim(self) -> int:
        """Width of a report vector."""
        return int(self._svd.components_.shape[0])

    def transform(self, reports: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) unit vectors; a report without a known word gives zeros."""
        vectors = self._svd.transform(self._vectorizer.transform(reports))
        return np.asarray(normalize(vectors), dtype=np.float32)


def fit_report_encoder(reports: Sequence[str], dim: int, seed: int) -> ReportEncoder:
    """Fit TF-IDF and SVD on training reports.

    Parameters
    ----------
    reports : sequence of str
        Texts of training patients only.
    dim : int
        Width of the vectors, at most one less than the number of reports and of words.
    seed : int
        Of the randomised SVD.

    Raises
    ------
    CohortError
        If fewer than three different reports hold words.
    """
    distinct = sorted({report for report in reports if report.strip()})
    if len(distinct) < 3:
        raise CohortError(
            f"Only {len(distinct)} different reports are in the training set, too few to contrast "
            "slides with. Fill the column 'report' or set loss.contrastive_weight=0."
        )
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), max_features=50_000)
    try:
        matrix = vectorizer.fit_transform(list(reports))
    except ValueError as error:
        raise CohortError(
            "The training reports hold no words. Fill the column 'report' with text."
        ) from error
    width = max(1, min(dim, len(distinct) - 1, matrix.shape[1] - 1))
    svd = TruncatedSVD(width, random_state=seed).fit(matrix)
    return ReportEncoder(vectorizer, svd)
