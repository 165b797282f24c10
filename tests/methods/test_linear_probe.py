"""The standard probe: what it is equal to, how C is chosen, and what few slides do to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from napari_dre_slcl.config.bag_methods import ProbeConfig
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.methods.bag_method import BagTruth
from napari_dre_slcl.methods.linear_probe import fit_heads, fit_probe
from napari_dre_slcl.model.linear_heads import LinearHeads

ONE_C = ProbeConfig(c_values=(0.01,))


def _slides(n: int = 60, dim: int = 5, classes: int = 2, seed: int = 0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    vectors = 3 + 2 * rng.normal(size=(n, dim))
    vectors[np.arange(n), labels] += 2
    patients = [f"P{number // (2 * classes)}" for number in range(n)]
    return vectors, labels, patients


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("is_balanced", [True, False])
def test_probe_is_logistic_regression_on_standardised_vectors(
    classes: int, is_balanced: bool
) -> None:
    vectors, labels, patients = _slides(classes=classes)
    labels = np.where(np.arange(60) < 12, 0, labels)
    config = ProbeConfig(c_values=(0.1,), balance=is_balanced)
    probe = fit_probe(vectors, labels, patients, config, seed=0)
    scaler = StandardScaler().fit(vectors)
    weight = "balanced" if is_balanced else None
    model = LogisticRegression(C=0.1, class_weight=weight, max_iter=3000)
    expected = model.fit(scaler.transform(vectors), labels).predict_proba(scaler.transform(vectors))
    np.testing.assert_allclose(probe.probabilities(vectors), expected, atol=1e-6)
    assert (probe.c, probe.folds) == (0.1, 0)


def test_heads_carry_what_the_probe_found() -> None:
    vectors, labels, patients = _slides(classes=3)
    both = torch.tensor(np.stack([labels, np.minimum(labels, 1)], 1))
    truth = BagTruth(both, ("grade", "cancer"), tuple(patients))
    heads = LinearHeads(5, [3, 2])
    probes = fit_heads(heads, torch.tensor(vectors, dtype=torch.float32), truth, ONE_C, seed=0)
    copy = LinearHeads(5, [3, 2])
    copy.load_state_dict(heads.state_dict())
    found = copy.probabilities(torch.tensor(vectors, dtype=torch.float32))
    for probe, probabilities in zip(probes, found, strict=True):
        np.testing.assert_allclose(probabilities, probe.probabilities(vectors), atol=1e-5)
        torch.testing.assert_close(probabilities.sum(1), torch.ones(60))
    assert sum(parameter.numel() for parameter in heads.parameters()) == 5 * 5 + 5
    assert not any(parameter.requires_grad for parameter in heads.parameters())


def test_slides_without_a_label_change_nothing() -> None:
    vectors, labels, patients = _slides()
    more = np.concatenate([vectors, 100 * np.ones((3, 5))])
    config = ProbeConfig(c_values=(0.01, 1.0))
    alone = fit_probe(vectors, labels, patients, config, seed=0)
    with_missing = fit_probe(more, np.append(labels, [-1] * 3), [*patients, *"XYZ"], config, seed=0)
    np.testing.assert_array_equal(alone.weight, with_missing.weight)
    assert alone.c == with_missing.c


def test_c_is_chosen_where_noise_must_be_shrunk_and_where_it_must_not() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    noisy = rng.normal(size=(80, 60)) + 0.25 * labels[:, None]
    config = ProbeConfig(c_values=(1e-3, 1e3))
    patients = [str(number) for number in range(80)]
    chosen = fit_probe(noisy, labels, patients, config, seed=0)
    assert (chosen.c, chosen.folds) == (1e-3, 5)
    # The difference of two dimensions that are nearly the same tells the class.
    common = rng.normal(size=80)
    fine = np.stack([common, common + 0.05 * (labels - 0.5) + 0.005 * rng.normal(size=80)], 1)
    assert fit_probe(fine, labels, patients, config, seed=0).c == 1e3


def test_a_patient_never_helps_to_choose_c_on_itself() -> None:
    """Copies of a slide reward a probe that knows patients by heart, unless folds keep them."""
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    vectors = rng.normal(size=(80, 60)) + 0.25 * labels[:, None]
    vectors, labels, patients = (
        np.repeat(array, 3, axis=0) for array in (vectors, labels, np.arange(80).astype(str))
    )
    config = ProbeConfig(c_values=(1e-3, 1e3))
    grouped = fit_probe(vectors, labels, patients, config, seed=0)
    apart = fit_probe(vectors, labels, np.arange(240).astype(str), config, seed=0)
    assert grouped.c == 1e-3
    assert apart.c == 1e3


def test_too_few_patients_for_folds_take_the_middle_value() -> None:
    vectors, labels, _ = _slides(n=6)
    config = ProbeConfig(c_values=(1.0, 0.01, 0.1))
    probe = fit_probe(vectors, labels, ["A", "B", "A", "C", "A", "D"], config, seed=0)
    assert (probe.c, probe.folds) == (0.1, 0)
    two_each = fit_probe(vectors[:4], labels[:4], ["A", "B", "C", "D"], config, seed=0)
    assert two_each.folds == 2


def test_a_class_without_slides_gets_no_probability() -> None:
    vectors, labels, patients = _slides()
    probe = fit_probe(vectors, 2 * labels, patients, ONE_C, seed=0, n_classes=4)
    probabilities = probe.probabilities(vectors)
    assert probabilities[:, [1, 3]].max() < 1e-9
    assert ((probabilities[:, 2] > 0.5) == labels).mean() > 0.8


def test_one_class_is_told_with_the_name_of_the_task() -> None:
    truth = BagTruth(torch.tensor([[1], [1], [-1]]), ("TP53",), ("A", "B", "C"))
    with pytest.raises(CohortError, match="one class of 'TP53' only"):
        fit_heads(LinearHeads(2, [2]), torch.randn(3, 2), truth, ONE_C, seed=0)
