"""What each extension of the residual encoding does to a slide's vector."""

from __future__ import annotations

import pytest
import torch

from napari_dre_slcl.config import ResidualConfig
from napari_dre_slcl.model.residual_encoder import ResidualEncoder
from napari_dre_slcl.model.residual_sums import ResidualSums

DIM, K = 12, 5
LITERAL = {"layers": 1, "heads": 2}


def _encoder(**changes: object) -> ResidualEncoder:
    torch.manual_seed(0)
    config = ResidualConfig.model_validate(LITERAL | changes)
    encoder = ResidualEncoder(DIM, K, config).double()
    return encoder.requires_grad_(False)


def _sums(mass: list[float], residual: torch.Tensor | None = None) -> ResidualSums:
    masses = torch.tensor([mass]).double()
    if residual is None:
        residual = torch.randn(1, K, DIM, generator=torch.Generator().manual_seed(1)).double()
    return ResidualSums(residual * (masses > 0).unsqueeze(-1), masses, (masses > 0).double())


def _vector(encoder: ResidualEncoder, sums: ResidualSums, mean: float = 0.0) -> torch.Tensor:
    return encoder(sums, torch.full((1, DIM), mean).double()).vector[0]


def _is_same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool(torch.allclose(a, b, atol=1e-12))


def test_the_literal_form_knows_residuals_only() -> None:
    encoder, residual = _encoder(), _sums([1, 1, 1, 1, 1]).residual
    literal = _vector(encoder, _sums([1, 1, 1, 1, 1], residual))
    assert _is_same(literal, _vector(encoder, _sums([9, 1, 4, 1, 1], residual), mean=3.0))
    assert _is_same(literal, _vector(encoder, _sums([1, 1, 1, 1, 1], 7 * residual)))


def test_mean_tokens_are_sums_divided_by_the_codewords_weight() -> None:
    mass = [9.0, 1.0, 4.0, 0.5, 2.0]
    sums = _sums(mass)
    divided = sums.residual / sums.mass.unsqueeze(-1)
    expected = _vector(_encoder(tokens="sum"), _sums([1, 1, 1, 1, 1], divided))
    assert _is_same(_vector(_encoder(tokens="mean"), sums), expected)
    assert not _is_same(_vector(_encoder(tokens="sum"), sums), expected)


@pytest.mark.parametrize("normalisation", ["l2", "intra", "signed-sqrt"])
def test_a_slide_of_the_same_tiles_many_times_over_has_the_same_vector(normalisation: str) -> None:
    changes = {
        "normalisation": normalisation,
        "tokens": "mean",
        "mass_bias": True,
        "pooling": "mass",
        "global_token": True,
    }
    encoder, sums = _encoder(**changes), _sums([9, 1, 4, 0, 2])
    tenfold = ResidualSums(10 * sums.residual, 10 * sums.mass, 10 * sums.count)
    assert torch.allclose(_vector(encoder, tenfold), _vector(encoder, sums), atol=1e-9)


def test_the_global_token_brings_in_the_mean_feature_and_the_occupancy() -> None:
    encoder, sums = _encoder(global_token=True), _sums([1, 1, 1, 1, 1])
    assert not _is_same(_vector(encoder, sums), _vector(encoder, sums, mean=1.0))
    other = _sums([6, 1, 1, 1, 1], sums.residual)
    assert not _is_same(_vector(encoder, sums), _vector(encoder, other))


@pytest.mark.parametrize(("is_biased", "ratio"), [(True, 2), (False, 1)])
def test_occupancy_bias_weighs_a_codeword_as_so_many_equal_tokens(is_biased, ratio) -> None:
    encoder = _encoder(mass_bias=is_biased)
    residual = torch.randn(1, K, DIM, generator=torch.Generator().manual_seed(1)).double()
    residual[0, 1] = residual[0, 0]  # two codewords that look the same
    encoder.identity[1] = encoder.identity[0]
    sums = _sums([2, 1, 4, 1, 2], residual)
    shares = encoder(sums, torch.zeros(1, DIM).double()).codeword_attention[0]
    assert shares[0] / shares[1] == pytest.approx(ratio)


def test_mass_pooling_adds_the_codeword_tokens_by_their_share() -> None:
    plain, pooled = _encoder(), _encoder(pooling="mass")
    residual = _sums([1, 1, 1, 1, 1]).residual
    even, uneven = _sums([1, 1, 1, 1, 1], residual), _sums([1, 1, 1, 1, 6], residual)
    assert _is_same(_vector(plain, even), _vector(plain, uneven))
    assert not _is_same(_vector(pooled, even), _vector(pooled, uneven))
    assert not _is_same(_vector(pooled, even), _vector(plain, even))


@pytest.mark.parametrize("changes", [{}, {"mass_bias": True, "tokens": "mean", "pooling": "mass"}])
def test_empty_codewords_get_no_attention_and_no_nan(changes: dict[str, object]) -> None:
    sums = _sums([0, 3, 0, 0, 0])
    residual = sums.residual.clone().requires_grad_()
    encoding = _encoder(**changes)(
        ResidualSums(residual, sums.mass, sums.count), torch.zeros(1, DIM).double()
    )
    assert encoding.codeword_attention[0].tolist() == pytest.approx([0, 1, 0, 0, 0])
    encoding.vector.sum().backward()
    assert torch.isfinite(encoding.vector).all()
    assert torch.isfinite(residual.grad).all()


def test_the_number_of_layers_and_codewords_are_as_set() -> None:
    for layers, k in ((1, 4), (3, 32)):
        config = ResidualConfig.model_validate(LITERAL | {"layers": layers})
        encoder = ResidualEncoder(DIM, k, config)
        assert (len(encoder.layers), encoder.identity.shape) == (layers, (k, DIM))


@pytest.mark.parametrize("pooling", ["cls", "mass"])
def test_the_attention_on_codewords_is_that_of_what_is_pooled(pooling: str) -> None:
    """Where every token attends to all evenly, rollout leaves (1/(1+P) + I)/2 of one layer."""
    encoder, mass = _encoder(pooling=pooling), torch.tensor([3.0, 0.0, 1.0, 4.0, 0.0]).double()
    encoder.layers[0].attention.in_proj_weight.zero_()
    found = encoder(_sums(mass.tolist()), torch.zeros(1, DIM).double()).codeword_attention[0]
    is_there, share = (mass > 0).double(), mass / mass.sum()
    even = is_there / (2 * (1 + is_there.sum()))
    expected = even if pooling == "cls" else 2 * even + share / 2
    assert _is_same(found, expected / expected.sum())


def test_without_a_map_the_global_token_is_the_mean_feature_itself() -> None:
    encoder, sums = _encoder(global_token=True, global_map=False), _sums([1, 1, 1, 1, 1])
    assert not any(name.startswith("from_mean") for name, _ in encoder.named_parameters())
    encoder.cls.zero_()
    for layer in encoder.layers:  # nothing is added to the token then
        layer.attention.out_proj.weight.zero_()
        layer.attention.out_proj.bias.zero_()
        layer.ffn[3].weight.zero_()
        layer.ffn[3].bias.zero_()
    mean = torch.linspace(-1, 1, DIM).double().square().unsqueeze(0)
    expected = (mean - mean.mean()) / (mean.var(correction=0) + 1e-5).sqrt()
    assert torch.allclose(encoder(sums, mean).vector, expected)


def test_a_small_layer_scale_lets_the_codewords_in_late() -> None:
    settings = {"global_token": True, "global_map": False}
    shifted = _sums([1, 1, 1, 1, 1]).residual.flip(1)

    def change(**more: object) -> float:
        encoder, ones = _encoder(**settings, **more), [1.0] * K
        mean = torch.linspace(-1, 1, DIM).double().unsqueeze(0)
        first, second = (encoder(_sums(ones, r), mean).vector for r in (None, shifted))
        return float((first - second).norm())

    assert change(layer_scale=1e-3) < 0.05 * change()
    assert change(layer_scale=1.0) == pytest.approx(change(), rel=1e-6)
