from __future__ import annotations

import pytest
import torch

from napari_dre_slcl.model.text_pooling import pool_tokens

STATES = torch.tensor([[[1.0, -1.0], [2.0, -2.0], [6.0, -6.0], [99.0, 99.0]]])
MASK = torch.tensor([[1, 1, 1, 0]])


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cls", [1, -1]),
        ("lasttoken", [6, -6]),
        ("max", [6, -1]),
        ("mean", [3, -3]),
        ("mean_sqrt_len_tokens", [9 / 3**0.5, -9 / 3**0.5]),
        ("weightedmean", [(1 + 4 + 18) / 6, -(1 + 4 + 18) / 6]),
    ],
)
def test_padding_never_counts(mode: str, expected: list[float]) -> None:
    torch.testing.assert_close(pool_tokens(STATES, MASK, [mode]), torch.tensor([expected]).float())


def test_a_start_token_that_is_masked_does_not_count() -> None:
    mask = torch.tensor([[0, 1, 1, 0]])
    assert pool_tokens(STATES, mask, ["mean"]).tolist() == [[4, -4]]
    assert pool_tokens(STATES, mask, ["cls"]).tolist() == [[2, -2]]


def test_several_modes_stand_side_by_side() -> None:
    assert pool_tokens(STATES, MASK, ["cls", "mean"]).tolist() == [[1, -1, 3, -3]]
