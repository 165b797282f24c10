from __future__ import annotations

import numpy as np
import pytest

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
    "reports", [["same", "same", "same"], ["a", "", " "], ["-", "--", "..", "one two"]]
)
def test_too_few_reports_are_refused(reports: list[str]) -> None:
    with pytest.raises(CohortError, match=r"too few to contrast.*loss\.contrastive_weight=0"):
        fit_report_encoder(reports, 8, 0)
