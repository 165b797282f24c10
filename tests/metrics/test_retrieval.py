"""Retrieval against brute force, and what the control sees of hospitals."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dre_slcl.metrics.retrieval import retrieval


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def _pairs(n: int, n_sites: int, of_site: float, of_patient: float, seed: int = 0) -> tuple:
    """Return slides and reports that share what is their site's and what is their own."""
    rng = np.random.default_rng(seed)
    sites = np.arange(n) % n_sites
    shared = of_site * rng.normal(size=(n_sites, 32))[sites] + of_patient * rng.normal(size=(n, 32))
    slides, reports = (_unit(shared + rng.normal(size=(n, 32))) for _ in range(2))
    return slides, reports, np.arange(n).astype(str), sites.astype(str)


def _brute_force(
    slides: np.ndarray, reports: np.ndarray, patients: list[str], k: int
) -> tuple[float, float]:
    texts = [tuple(row) for row in reports]
    distinct = sorted(set(texts))
    owners = {t: {p for p, own in zip(patients, texts, strict=True) if own == t} for t in distinct}
    near = slides @ np.array(distinct).T
    found = [
        any(
            patient in owners[text] and (near[i] >= near[i, j] - 1e-9).sum() <= k
            for j, text in enumerate(distinct)
        )
        for i, patient in enumerate(patients)
    ]
    back = [
        any(
            patient in owners[text] and (near[:, j] >= near[i, j] - 1e-9).sum() <= k
            for i, patient in enumerate(patients)
        )
        for j, text in enumerate(distinct)
    ]
    return float(np.mean(found)), float(np.mean(back))


def test_recall_equals_brute_force_with_shared_reports_and_patients() -> None:
    slides, reports, _, sites = _pairs(40, 3, of_site=0.3, of_patient=0.7)
    patients = [f"p{i // 2}" if i < 12 else f"q{i}" for i in range(40)]
    reports[0] = reports[1]  # One patient, two slides, one report.
    reports[20] = reports[25]  # Two patients whose reports read the same.
    found = retrieval(slides, reports, patients, sites, n_shuffles=5)
    assert found is not None
    assert (found.n_slides, found.n_reports, found.n_patients) == (40, 38, 34)
    for recall, back in zip(found.slide_to_report, found.report_to_slide, strict=True):
        expected = _brute_force(slides, reports, patients, recall.k)
        assert (recall.value, back.value) == pytest.approx(expected)
    assert 0 < found.slide_to_report[0].value < 1


def test_the_control_equals_shuffling_by_hand() -> None:
    slides, reports, patients, sites = _pairs(30, 2, of_site=1.0, of_patient=0.5)
    found = retrieval(slides, reports, patients, sites, n_shuffles=300)
    rng = np.random.default_rng(9)
    by_hand = []
    for _ in range(60):
        order = np.arange(30)
        for site in set(sites):
            rows = np.flatnonzero(sites == site)
            order[rows] = rng.permutation(rows)
        by_hand.append(_brute_force(slides, reports[order], list(patients), 5))
    assert found is not None
    means = np.mean(by_hand, axis=0)
    assert found.slide_to_report[1].control == pytest.approx(means[0], abs=0.04)
    assert found.report_to_slide[1].control == pytest.approx(means[1], abs=0.04)


def test_a_model_that_knows_the_hospital_only_gains_nothing() -> None:
    found = retrieval(*_pairs(200, 10, of_site=3.0, of_patient=0.0), n_shuffles=100)
    assert found is not None
    for recall in (*found.slide_to_report, *found.report_to_slide):
        assert abs(recall.gain) < 4 * recall.control_std
        assert recall.p > 0.01
    # By hospital alone it is ten times better than chance.
    assert found.slide_to_report[2].value > 0.3


def test_a_model_that_knows_the_patient_gains() -> None:
    found = retrieval(*_pairs(200, 10, of_site=1.0, of_patient=2.0), n_shuffles=100)
    assert found is not None
    first = found.slide_to_report[0]
    assert first.value > 0.9
    assert first.gain > 0.8
    assert first.p == pytest.approx(1 / 101)


def test_equal_vectors_find_nothing() -> None:
    _, reports, patients, sites = _pairs(50, 5, of_site=1.0, of_patient=1.0)
    slides = np.repeat(reports[:1], 50, axis=0)
    found = retrieval(slides, reports, patients, sites, n_shuffles=10)
    assert found is not None
    assert found.report_to_slide[2].value == 0


def test_reports_of_a_lone_patient_stay() -> None:
    slides, reports, patients, _ = _pairs(12, 1, of_site=0.0, of_patient=9.0)
    found = retrieval(slides, reports, patients, patients, n_shuffles=5)
    assert found is not None
    assert found.n_alone == 12
    assert found.slide_to_report[0].gain == 0


def test_same_seed_gives_the_same_control() -> None:
    pairs = _pairs(40, 4, of_site=1.0, of_patient=1.0)
    first, again, other = (retrieval(*pairs, n_shuffles=20, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_too_little_to_seek() -> None:
    slides, reports, patients, sites = _pairs(3, 1, of_site=0.0, of_patient=1.0)
    one_report = np.repeat(reports[:1], 3, axis=0)
    assert retrieval(slides, one_report, patients, sites) is None
    assert retrieval(slides[:0], reports[:0], patients[:0], sites[:0]) is None
    with pytest.raises(ValueError, match="do not belong together"):
        retrieval(slides, reports[:2], patients, sites)
    with pytest.raises(ValueError, match="do not belong together"):
        retrieval(slides, reports, patients[:2], sites)
    with pytest.raises(ValueError, match="do not belong together"):
        retrieval(slides, reports, patients, sites[:2])
