"""Attention of tiles is positive and adds up."""

import torch

from napari_dre_slcl.model.tile_attention import GatedAttention, share_codeword_attention


def test_shares_follow_residual_norms_and_sum_to_one() -> None:
    attention = share_codeword_attention(
        torch.tensor([0.75, 0.25, 0.0]),
        torch.tensor([0, 0, 1]),
        torch.tensor([1.0, 2.0, 5.0]),
    )
    torch.testing.assert_close(attention, torch.tensor([0.25, 0.5, 0.25]))


def test_tiles_that_lie_on_their_codeword_share_evenly() -> None:
    attention = share_codeword_attention(
        torch.tensor([1.0]), torch.tensor([0, 0, 0, 0]), torch.zeros(4)
    )
    torch.testing.assert_close(attention, torch.full((4,), 0.25))


def test_gated_weights_are_positive_and_bounded() -> None:
    torch.manual_seed(0)
    weights = GatedAttention(8)(torch.randn(100, 8) * 1e6)
    assert (weights > 0).all()
    assert torch.isfinite(weights).all()
