from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from napari_dre_slcl.cohort.reports import fit_report_encoder
from napari_dre_slcl.errors import CohortError

REPORTS = [
    "adenocarcinoma with glands",
    "squamous carcinoma, keratin",
    "benign lung tissue",
    "mucin",
]


def test_report_vectors_are_unit_and_unknown_words_give_zeros() -> None:
    encoder = fit_report_encoder(REPORTS, dim=256, seed=0)
    vectors = encoder.encode([*REPORTS, "zzz", ""])
    assert vectors.shape == (6, encoder.dim)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1, 1, 0, 0], abs=1e-5)


def test_similar_reports_lie_close() -> None:
    encoder = fit_report_encoder(REPORTS, dim=3, seed=0)
    one, like, other = encoder.encode(
        ["squamous carcinoma, keratin", "keratin in squamous carcinoma", "benign lung tissue"]
    )
    assert one @ like > 0.9 > one @ other


@pytest.mark.parametrize(
    ("n_reports", "n_words"), [(40, 300), (400, 4)], ids=["few reports", "few terms"]
)
def test_vectors_have_the_similarities_of_a_converged_svd(n_reports: int, n_words: int) -> None:
    rng = np.random.default_rng(3)
    words = np.array([f"word{number}" for number in range(n_words)])
    texts = [" ".join(rng.choice(words, rng.integers(4, 30))) for _ in range(n_reports + 10)]
    reports, others = texts[:n_reports], texts[n_reports:]
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    matrix = vectorizer.fit_transform(reports)
    assert (matrix.shape[0] < matrix.shape[1]) == (n_reports == 40)
    svd = TruncatedSVD(16, algorithm="arpack", random_state=0).fit(matrix)
    encoder = fit_report_encoder(reports, 16, seed=0)
    assert encoder.dim == 16
    for some in (reports, others):
        expected = normalize(svd.transform(vectorizer.transform(some)))
        vectors = encoder.encode(some)
        assert np.abs(vectors @ vectors.T - expected @ expected.T).max() < 1e-5


def test_the_seed_does_not_matter_where_reports_are_fewer_than_terms() -> None:
    one, other = (fit_report_encoder(REPORTS, 3, seed).encode(REPORTS) for seed in (0, 1))
    assert np.array_equal(one, other)


def test_a_report_outside_a_narrow_space_gives_zeros_not_noise() -> None:
    encoder = fit_report_encoder([*REPORTS, *REPORTS[:3]], dim=3, seed=0)
    lengths = np.linalg.norm(encoder.encode(REPORTS), axis=1)
    assert lengths == pytest.approx([1, 1, 1, 0], abs=1e-5)


@pytest.mark.parametrize("copies", [1, 9], ids=["few reports", "few terms"])
def test_reports_of_the_same_words_widen_nothing(copies: int) -> None:
    same = [text.upper() for text in REPORTS] + [text + "." for text in REPORTS]
    encoder = fit_report_encoder([*REPORTS, *same * copies], dim=256, seed=0)
    assert encoder.dim == len(REPORTS)
    vectors = encoder.encode([*REPORTS, *same])
    assert vectors[:4] == pytest.approx(vectors[4:8], abs=1e-6)


@pytest.mark.parametrize(
    "reports", [["same", "same", "same"], ["a", "", " "], ["-", "--", "..", "one two"]]
)
def test_too_few_reports_are_refused(reports: list[str]) -> None:
    with pytest.raises(CohortError, match=r"too few to contrast.*loss\.contrastive_weight=0"):
        fit_report_encoder(reports, 8, 0)
