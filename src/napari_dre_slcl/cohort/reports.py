"""Report text to vectors: TF-IDF and truncated SVD, fitted on training reports, offline.

scikit-learn is imported with the first report, not with this module: that takes more than a second,
and to predict slides or to embed them no report is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.report_text import has_words
from napari_dre_slcl.errors import CohortError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

__all__ = ["ReportEncoder", "check_reports", "fit_report_encoder"]

# Up to so many reports the exact decomposition takes no longer than the randomised one.
_MOST_REPORTS_EXACT = 4_000
# A direction with less than this part of the largest squared singular value is rounding: reports
# of the same words leave such.
_LEAST_ENERGY = 1e-10


class ReportEncoder:
    """TF-IDF and SVD that have seen the training reports.

    Parameters
    ----------
    vectorizer : TfidfVectorizer
        Fitted.
    directions : ndarray
        (n_terms, dim) right singular vectors, the strongest first.
    """

    def __init__(self, vectorizer: TfidfVectorizer, directions: NDArray[np.float64]) -> None:
        self._vectorizer = vectorizer
        self._directions = directions

    @classmethod
    def from_state(
        cls, terms: Sequence[str], idf: NDArray[np.float64], directions: NDArray[Any]
    ) -> ReportEncoder:
        """Return the encoder that `state` was taken from.

        Raises
        ------
        ValueError
            If the parts do not fit each other.
        """
        if not len(terms) == len(idf) == len(directions) or directions.ndim != 2:
            raise ValueError("terms, weights and directions differ in number")
        vectorizer = _vectorizer(vocabulary={term: index for index, term in enumerate(terms)})
        vectorizer.idf_ = np.asarray(idf, np.float64)
        return cls(vectorizer, directions.astype(np.float64))

    def state(self) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
        """Return the n terms, their (n,) inverse document frequencies, and (n, dim) directions."""
        terms = self._vectorizer.get_feature_names_out().tolist()
        return terms, np.asarray(self._vectorizer.idf_), self._directions

    def occurrences(self, texts: Sequence[str]) -> csr_matrix:
        """Return (n, n_terms) int64, 1 where a text has a term."""
        counts = self._vectorizer.transform(texts)
        return (counts > 0).astype(np.int64)

    def reduced_to(self, is_kept: NDArray[np.bool_]) -> ReportEncoder:
        """Return an encoder that knows the terms with True of (n_terms,) alone, weighed as here."""
        terms, idf, directions = self.state()
        kept = np.flatnonzero(is_kept)
        return self.from_state([terms[number] for number in kept], idf[kept], directions[kept])

    def words(self, text: str) -> list[str]:
        """Return the words of a text, each once, as they are looked up."""
        tokenize = self._vectorizer.build_tokenizer()
        return list(dict.fromkeys(tokenize(text.lower())))

    def knows(self, word: str) -> bool:
        """Say whether a training report has a word."""
        return word in self._vectorizer.vocabulary_

    @property
    def dim(self) -> int:
        """Width of a report vector."""
        return int(self._directions.shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) unit vectors; a report without a known word gives zeros.

        So does one that shares no direction with the training reports.
        """
        from sklearn.preprocessing import normalize

        vectors = self._vectorizer.transform(texts) @ self._directions
        # TF-IDF rows are of length 1: what is left of a report outside the space is rounding.
        vectors[np.linalg.norm(vectors, axis=1) < 1e-9] = 0
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
        Greatest width of the vectors; fewer different reports or words, or reports that repeat
        each other's words, give less.
    seed : int
        Of the randomised SVD, which stands in for the exact one where reports outnumber terms or
        are more than 4,000.

    Raises
    ------
    CohortError
        If fewer than three different reports hold words.
    """
    from sklearn.decomposition import TruncatedSVD

    n_distinct = check_reports(reports)
    vectorizer = _vectorizer(max_features=50_000)
    matrix = vectorizer.fit_transform(list(reports))
    n_reports, n_terms = matrix.shape
    if n_reports < n_terms and n_reports <= _MOST_REPORTS_EXACT:
        return ReportEncoder(vectorizer, _exact_directions(matrix, min(dim, n_distinct)))
    width = max(1, min(dim, n_distinct - 1, n_terms - 1))
    svd = TruncatedSVD(width, random_state=seed).fit(matrix)
    kept = svd.singular_values_**2 > _LEAST_ENERGY * svd.singular_values_[0] ** 2
    return ReportEncoder(vectorizer, np.ascontiguousarray(svd.components_[kept].T))


def _vectorizer(**options: Any) -> TfidfVectorizer:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), **options)


def _exact_directions(matrix: csr_matrix, width: int) -> NDArray[np.float64]:
    """Return at most `width` right singular vectors as columns, found through the Gram matrix.

    With X X^T = U S^2 U^T (n_reports squared, small), the columns of X^T U S^-1 are those of V in
    X = U S V^T (Golub and Van Loan, Matrix Computations, section 8.6).
    """
    from scipy.linalg import eigh

    n_reports = matrix.shape[0]
    energies, left = eigh(
        (matrix @ matrix.T).toarray(), subset_by_index=(n_reports - width, n_reports - 1)
    )
    kept = np.flatnonzero(energies > _LEAST_ENERGY * energies[-1])[::-1]
    directions = matrix.T @ (left[:, kept] / np.sqrt(energies[kept]))
    # An eigenvector's sign is arbitrary: its largest entry shall be positive.
    largest = np.abs(directions).argmax(axis=0)
    directions *= np.sign(directions[largest, np.arange(len(kept))])
    return np.asarray(directions)
