"""Report text to vectors: TF-IDF and truncated SVD, fitted on training reports, offline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from napari_dre_slcl.cohort.report_text import has_words
from napari_dre_slcl.errors import CohortError

__all__ = ["ReportEncoder", "check_reports", "fit_report_encoder"]


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

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) unit vectors; a report without a known word gives zeros."""
        vectors = self._svd.transform(self._vectorizer.transform(texts))
        return np.asarray(normalize(vectors), dtype=np.float32)


def check_reports(reports: Sequence[str]) -> int:
    """Return how many different reports hold words.

    Raises
    ------
    CohortError
        If there are fewer than three, too few to contrast slides with.
    """
    n_distinct = len({report for report in reports if has_words(report)})
    if n_distinct < 3:
        raise CohortError(
            f"Only {n_distinct} different reports with words are in the training set, too few to "
            "contrast slides with. Fill the column 'report' or set loss.contrastive_weight=0."
        )
    return n_distinct


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
    n_distinct = check_reports(reports)
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), max_features=50_000)
    matrix = vectorizer.fit_transform(list(reports))
    width = max(1, min(dim, n_distinct - 1, matrix.shape[1] - 1))
    svd = TruncatedSVD(width, random_state=seed).fit(matrix)
    return ReportEncoder(vectorizer, svd)
