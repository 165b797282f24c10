"""Losses against closed forms."""

import math

import pytest
import torch

from napari_dre_slcl.model.losses import (
    masked_cross_entropy,
    nt_xent,
    slide_report_contrast,
    view_contrast,
)


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


def test_smoothing_spreads_a_share_of_each_label_over_all_classes() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    log_p = logits.log_softmax(1)[0]
    loss = masked_cross_entropy(logits, torch.tensor([0]), torch.ones(3), 0.3)
    expected = -(0.7 + 0.1) * log_p[0] - 0.1 * log_p[1] - 0.1 * log_p[2]
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_no_labels_at_all_cost_nothing_and_still_backpropagate() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = masked_cross_entropy(logits, torch.tensor([-1, -1]), torch.ones(3))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(2, 3))


def _random_mask(size: int, seed: int) -> torch.Tensor:
    """Return a symmetric mask as patients of one to three slides give it."""
    owner = torch.randint(0, size, (size,), generator=torch.Generator().manual_seed(seed))
    return owner[:, None] == owner[None, :]


def _brute_contrast(slides, reports, scale, same):
    """Return the loss by its formula, in both directions, one logarithm at a time."""
    size, total = len(slides), 0.0
    for i in range(size):
        allowed = [k for k in range(size) if k == i or not same[i, k]]
        across = [math.exp(scale * float(slides[i] @ reports[k])) for k in allowed]
        down = [math.exp(scale * float(slides[k] @ reports[i])) for k in allowed]
        own = math.exp(scale * float(slides[i] @ reports[i]))
        total += math.log(own / sum(across)) + math.log(own / sum(down))
    return -total / (2 * size)


def _brute_views(a, b, temperature, same):
    """Return SimCLR's formula over 2n rows, without the negatives of the same patient."""
    n = len(a)
    views = [row / row.norm() for row in torch.cat([a, b])]
    total = 0.0
    for i in range(2 * n):
        other = (i + n) % (2 * n)
        below = [
            math.exp(float(views[i] @ views[k]) / temperature)
            for k in range(2 * n)
            if k == other or (k != i and not same[i % n, k % n])
        ]
        total += math.log(math.exp(float(views[i] @ views[other]) / temperature) / sum(below))
    return -total / (2 * n)


@pytest.mark.parametrize("size", [1, 2, 5, 9])
@pytest.mark.parametrize("scale", [1.0, 14.0, 100.0])
def test_contrast_equals_its_formula_with_masks_in_both_directions(size: int, scale: float) -> None:
    torch.manual_seed(size)
    slides, reports = torch.nn.functional.normalize(torch.randn(2, size, 6).double(), dim=2)
    same = _random_mask(size, size)
    expected = _brute_contrast(slides, reports, scale, same)
    actual = slide_report_contrast(slides, reports, torch.tensor(scale).double(), same)
    assert actual.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("size", [1, 2, 5, 9])
@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0])
def test_view_losses_equal_their_formula(size: int, temperature: float) -> None:
    torch.manual_seed(size)
    a, b = torch.randn(2, size, 6).double()
    nobody, same = torch.eye(size, dtype=torch.bool), _random_mask(size, size)
    plain = _brute_views(a, b, temperature, nobody)
    assert nt_xent(a, b, temperature).item() == pytest.approx(plain, abs=1e-9)
    masked = _brute_views(a, b, temperature, same)
    assert view_contrast(a, b, temperature, same).item() == pytest.approx(masked, abs=1e-9)


def test_a_mask_of_one_direction_holds_in_both() -> None:
    torch.manual_seed(0)
    slides, reports = torch.nn.functional.normalize(torch.randn(2, 3, 4), dim=2)
    half = torch.eye(3, dtype=torch.bool)
    half[0, 1] = True
    whole = half | half.T
    torch.testing.assert_close(
        _contrast(slides, reports, 5.0, half), _contrast(slides, reports, 5.0, whole)
    )
    torch.testing.assert_close(
        view_contrast(slides, reports, 0.1, half), view_contrast(slides, reports, 0.1, whole)
    )


@pytest.mark.parametrize("loss", ["reports", "views"])
def test_slides_without_negatives_cost_nothing_and_get_no_gradient(loss: str) -> None:
    torch.manual_seed(0)
    one, other = (torch.randn(3, 4).requires_grad_() for _ in range(2))
    same = torch.ones(3, 3, dtype=torch.bool)
    if loss == "reports":
        value = slide_report_contrast(one, other, torch.tensor(100.0), same)
    else:
        value = view_contrast(one, other, 0.05, same)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    for leaf in (one, other):
        torch.testing.assert_close(leaf.grad, torch.zeros(3, 4))


@pytest.mark.parametrize("loss", ["reports", "views"])
def test_masked_pairs_get_no_gradient(loss: str) -> None:
    torch.manual_seed(0)
    one, other = (torch.randn(3, 8).requires_grad_() for _ in range(2))
    same = torch.eye(3, dtype=torch.bool)
    same[2, :2] = same[:2, 2] = True  # slide 2 shares a patient with both others
    if loss == "reports":
        value = slide_report_contrast(one, other, torch.tensor(2.0), same)
    else:
        value = view_contrast(one, other, 0.5, same)
    value.backward()
    for leaf in (one, other):
        torch.testing.assert_close(leaf.grad[2], torch.zeros(8), atol=1e-6, rtol=0)
        assert (leaf.grad[:2].abs().sum(1) > 0).all()


def test_empty_batches_cost_nothing_and_still_backpropagate() -> None:
    empty = torch.zeros(0, 4, requires_grad=True)
    none = torch.zeros(0, 0, dtype=torch.bool)
    losses = [
        slide_report_contrast(empty, empty, torch.tensor(1.0), none),
        view_contrast(empty, empty, 0.1, none),
        nt_xent(empty, empty, 0.1),
    ]
    sum(losses).backward()
    assert [loss.item() for loss in losses] == [0, 0, 0]


@pytest.mark.parametrize("loss", ["reports", "views"])
def test_gradients_of_contrasts_are_those_of_finite_differences(loss: str) -> None:
    torch.manual_seed(1)
    one, other = (torch.randn(4, 5).double().requires_grad_() for _ in range(2))
    same = _random_mask(4, 3)
    scale = torch.tensor(3.0).double().requires_grad_()
    if loss == "reports":
        assert torch.autograd.gradcheck(slide_report_contrast, (one, other, scale, same))
    else:
        assert torch.autograd.gradcheck(lambda a, b: view_contrast(a, b, 0.3, same), (one, other))
