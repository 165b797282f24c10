"""Dropout that drops the same of a row, whatever stands beside it."""

from __future__ import annotations

import torch
from torch import nn

from napari_dre_slcl.config import ResidualConfig
from napari_dre_slcl.model.keyed_dropout import keyed_dropout, keyed_uniform
from napari_dre_slcl.model.residual_encoder import ResidualEncoder
from napari_dre_slcl.model.residual_sums import ResidualSums


def test_numbers_are_uniform_and_independent_of_each_other() -> None:
    drawn = keyed_uniform(torch.arange(400), 500, salt=12345)
    counts = torch.histc(drawn, 20, 0, 1)
    assert (counts / counts.mean() - 1).abs().max() < 0.05
    for other in (drawn.roll(1, 0), drawn.roll(1, 1), keyed_uniform(torch.arange(400), 500, 12346)):
        correlation = torch.corrcoef(torch.stack([drawn.flatten(), other.flatten()]))[0, 1]
        assert abs(float(correlation)) < 0.01


def test_a_row_loses_the_same_in_any_batch() -> None:
    torch.manual_seed(0)
    net = ResidualEncoder(16, 3, ResidualConfig(dropout=0.4, heads=4, layers=2))
    residual, mean = torch.randn(5, 3, 16), torch.randn(5, 16)
    count = torch.ones(5, 3)

    def encode(rows: list[int]) -> torch.Tensor:
        sums = ResidualSums(residual[rows], count[rows], count[rows])
        return net(sums, mean[rows]).vector

    all_rows = [0, 1, 2, 3, 4]
    with keyed_dropout([10, 11, 12, 13, 14], 0, "step", 1):
        whole = encode(all_rows)
    with keyed_dropout([13, 11], 0, "step", 1):
        torch.testing.assert_close(encode([3, 1]), whole[[3, 1]])
    with keyed_dropout([13, 11], 0, "step", 2):
        assert not torch.allclose(encode([3, 1]), whole[[3, 1]])


def test_as_much_is_dropped_as_asked_and_the_mean_stays() -> None:
    ones = torch.ones(200, 300, requires_grad=True)
    with keyed_dropout(range(200), 3):
        dropped = nn.functional.dropout(ones, 0.3)
        again = nn.Dropout(0.3)(ones)
    assert abs(float((dropped == 0).float().mean()) - 0.3) < 0.01
    assert abs(float(dropped.detach().mean()) - 1) < 0.02
    assert not torch.equal(dropped, again)  # each dropout of a net has masks of its own
    dropped.sum().backward()
    assert torch.equal(ones.grad == 0, dropped == 0)


def test_nothing_is_dropped_in_evaluation() -> None:
    layer = nn.Dropout(0.5).eval()
    with keyed_dropout([1], 0):
        assert torch.equal(layer(torch.ones(1, 9)), torch.ones(1, 9))


def test_attention_with_dropout_is_that_without_where_nothing_is_dropped() -> None:
    torch.manual_seed(0)
    net = ResidualEncoder(16, 3, ResidualConfig(dropout=0.0, heads=4))
    sums = ResidualSums(torch.randn(5, 3, 16), torch.ones(5, 3), torch.tensor([[1, 0, 2]] * 5))
    expected = net(sums, torch.randn(5, 16, generator=torch.Generator().manual_seed(0)))
    for layer in net.layers:
        layer.attention.dropout = 1e-12  # takes the other way
    found = net(sums, torch.randn(5, 16, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(found.vector, expected.vector)
    torch.testing.assert_close(found.codeword_attention, expected.codeword_attention)
