"""Losses against closed forms."""

import math

import pytest
import torch

from napari_dre_slcl.model.losses import masked_cross_entropy, slide_report_contrast


def _contrast(slides, reports, scale=1.0, same=None):
    same = torch.eye(len(slides), dtype=torch.bool) if same is None else same
    return slide_report_contrast(slides, reports, torch.tensor(scale), same)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_indistinct_pairs_cost_the_log_of_the_batch(size: int) -> None:
    same_vector = torch.nn.functional.normalize(torch.ones(size, 4), dim=1)
    assert _contrast(same_vector, same_vector).item() == pytest.approx(math.log(size))


@pytest.mark.parametrize("size", [2, 5])
def test_orthogonal_matches_have_a_closed_form(size: int) -> None:
    vectors, scale = torch.eye(size), 3.0
    expected = -math.log(math.exp(scale) / (math.exp(scale) + size - 1))
    assert _contrast(vectors, vectors, scale).item() == pytest.approx(expected, rel=1e-5)


def test_both_directions_count() -> None:
    slides = torch.nn.functional.normalize(torch.randn(4, 6), dim=1)
    reports = torch.nn.functional.normalize(torch.randn(4, 6), dim=1)
    logits = 2.0 * slides @ reports.T
    one, other = logits.log_softmax(1).diagonal(), logits.log_softmax(0).diagonal()
    expected = -(one + other).sum() / (2 * 4)
    torch.testing.assert_close(_contrast(slides, reports, 2.0), expected)


def test_slides_of_one_patient_are_no_negatives() -> None:
    vectors = torch.eye(3)
    same = torch.eye(3, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    own, other = math.exp(1.0), 1.0
    two, three = -math.log(own / (own + other)), -math.log(own / (own + 2 * other))
    expected = (2 * two + three) / 3
    assert _contrast(vectors, vectors, same=same).item() == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_one_report_costs_nothing() -> None:
    same = torch.ones(3, 3, dtype=torch.bool)
    assert _contrast(torch.eye(3), torch.eye(3), same=same).item() == pytest.approx(0)


def test_missing_labels_do_not_count() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    loss = masked_cross_entropy(logits, torch.tensor([0, -1, 1]), torch.ones(2))
    expected = (-math.log(math.exp(2) / (math.exp(2) + 1)) + math.log(2)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_no_labels_at_all_cost_nothing_and_still_backpropagate() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = masked_cross_entropy(logits, torch.tensor([-1, -1]), torch.ones(3))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(2, 3))
