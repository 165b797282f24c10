"""VLAD residual sums against plain loops."""

import pytest
import torch

from napari_dre_slcl.model.residual_encoder import vlad
from napari_dre_slcl.model.residual_sums import (
    ResidualSums,
    add_residuals,
    residual_sums,
    scale_gradient,
)


def _unit(n: int, d: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, d, generator=generator), dim=1)


def _by_loops(features, weights, codewords):
    residual = torch.zeros_like(codewords)
    mass, count = torch.zeros(len(codewords)), torch.zeros(len(codewords))
    for feature, weight in zip(features, weights, strict=True):
        k = int((feature - codewords).norm(dim=1).argmin())
        residual[k] += weight * (feature - codewords[k])
        mass[k] += weight
        count[k] += 1
    return residual, mass, count


@pytest.mark.parametrize(("n", "k", "d"), [(1, 2, 3), (7, 4, 5), (60, 16, 32)])
def test_sums_equal_the_definition(n: int, k: int, d: int) -> None:
    features, codewords = _unit(n, d), _unit(k, d, seed=1) * 0.8
    weights = torch.rand(n, generator=torch.Generator().manual_seed(2)) + 0.1
    sums = residual_sums(features, weights, codewords).slide(0)
    residual, mass, count = _by_loops(features, weights, codewords)
    torch.testing.assert_close(sums.residual, residual, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sums.mass, mass)
    torch.testing.assert_close(sums.count, count)


def test_parts_of_a_slide_add_up_to_the_whole() -> None:
    features, codewords, weights = _unit(50, 8), _unit(6, 8, 1), torch.ones(50)
    whole = residual_sums(features, weights, codewords)
    parts = residual_sums(features[:13], weights[:13], codewords) + residual_sums(
        features[13:], weights[13:], codewords
    )
    torch.testing.assert_close(parts.residual, whole.residual, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(parts.count, whole.count)


def test_empty_codewords_give_exact_zeros() -> None:
    codewords = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 9.0]])
    sums = residual_sums(torch.tensor([[0.9, 0.1], [0.8, -0.1]]), torch.ones(2), codewords).slide(0)
    assert sums.count.tolist() == [2, 0, 0]
    assert torch.equal(sums.residual[1:], torch.zeros(2, 2))
    assert torch.isfinite(vlad(sums.residual)).all()


def test_no_tiles_give_zeros_not_nan() -> None:
    sums = residual_sums(torch.zeros(0, 4), torch.zeros(0), _unit(3, 4)).slide(0)
    assert torch.equal(sums.residual, torch.zeros(3, 4))
    assert torch.equal(vlad(sums.residual), torch.zeros(3, 4))


@pytest.mark.parametrize("normalisation", ["l2", "intra", "signed-sqrt"])
def test_vlad_has_length_one(normalisation: str) -> None:
    residual = residual_sums(_unit(40, 8), torch.ones(40), _unit(5, 8, 1)).residual
    assert vlad(residual, normalisation).norm().item() == pytest.approx(1, abs=1e-5)


def test_vlad_known_answer() -> None:
    residual = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    torch.testing.assert_close(vlad(residual), torch.tensor([[0.6, 0.0], [0.0, 0.8]]))
    torch.testing.assert_close(
        vlad(residual, "intra"), torch.tensor([[0.5**0.5, 0.0], [0.0, 0.5**0.5]])
    )
    torch.testing.assert_close(
        vlad(residual, "signed-sqrt"),
        torch.tensor([[(3 / 7) ** 0.5, 0.0], [0.0, (4 / 7) ** 0.5]]),
    )


def test_signed_sqrt_gradient_is_finite_at_empty_codewords() -> None:
    residual = torch.tensor([[1.0, -2.0], [0.0, 0.0]], requires_grad=True)
    vlad(residual, "signed-sqrt")[0, 0].backward()
    assert torch.isfinite(residual.grad).all()


def test_scaled_gradient_leaves_values_alone() -> None:
    tensor = torch.tensor([2.0, 3.0], requires_grad=True)
    scaled = scale_gradient(tensor, torch.tensor([5.0, 2.0]))
    assert torch.equal(scaled, tensor)
    (scaled**2).sum().backward()
    assert tensor.grad.tolist() == [20.0, 12.0]


def test_stack_joins_slides() -> None:
    sums = residual_sums(_unit(9, 4), torch.ones(9), _unit(3, 4, 1)).slide(0)
    stacked = ResidualSums.stack([sums, sums])
    assert stacked.residual.shape == (2, 3, 4)
    assert stacked.mass.shape == stacked.count.shape == (2, 3)


def test_tiles_of_several_slides_are_added_up_at_once() -> None:
    features, weights, codewords = _unit(20, 5), torch.rand(20) + 0.1, _unit(3, 5, 1)
    owner = torch.tensor([2, 0, 2, 2, 0] * 4)
    sums = residual_sums(features, weights, codewords, owner, n_slides=4)
    assert sums.residual.shape == (4, 3, 5)
    for slide in range(4):
        own = owner == slide
        alone = residual_sums(features[own], weights[own], codewords).slide(0)
        torch.testing.assert_close(sums.slide(slide).residual, alone.residual)
        torch.testing.assert_close(sums.slide(slide).mass, alone.mass)
        assert torch.equal(sums.slide(slide).count, alone.count)


def test_residuals_taken_away_again_leave_exact_zeros_where_no_tile_is_left() -> None:
    sums = {"residual": torch.zeros(2, 3, 4), "mass": torch.zeros(2, 3), "count": torch.zeros(2, 3)}
    sums["count"] = sums["count"].long()
    owner, codeword = torch.tensor([0, 1, 1]), torch.tensor([2, 0, 0])
    residual, weight = torch.randn(3, 4), torch.tensor([0.3, 1e4, 0.1])
    add_residuals(sums, owner, codeword, residual, weight, 1)
    torch.testing.assert_close(sums["residual"][0, 2], 0.3 * residual[0])
    assert sums["count"].tolist() == [[0, 0, 1], [2, 0, 0]]
    add_residuals(sums, owner[:2], codeword[:2], residual[:2], weight[:2], -1)
    assert not sums["residual"][0].any()
    assert not sums["mass"][0].any()
    assert sums["count"].tolist() == [[0, 0, 0], [1, 0, 0]]
