"""The bank keeps one unit feature a tile and changes only what is written."""

import pytest
import torch

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.model.memory_bank import MemoryBank


def _filled(counts: list[int], dim: int = 6, momentum: float = 0.0) -> MemoryBank:
    torch.manual_seed(0)
    bank = MemoryBank(counts, dim, momentum)
    for slide, count in enumerate(counts):
        bank.write(slide, torch.arange(count), torch.randn(count, dim))
    return bank


def test_a_bank_is_full_once_every_tile_is_written() -> None:
    bank = MemoryBank([3, 2], 4)
    bank.write(0, torch.arange(3), torch.randn(3, 4))
    assert not bank.is_full
    bank.write(1, torch.arange(2), torch.randn(2, 4))
    assert bank.is_full
    assert [bank.tile_count(slide) for slide in range(len(bank))] == [3, 2]


def test_exactly_the_written_rows_change_and_all_are_unit() -> None:
    bank = _filled([10, 8, 5])
    before = [bank.features(slide).clone() for slide in range(3)]
    tiles = torch.tensor([1, 4, 7])
    bank.write(1, tiles, torch.randn(3, 6) * 9)
    for slide in (0, 2):
        assert torch.equal(bank.features(slide), before[slide])
    changed = (bank.features(1) != before[1]).any(1).nonzero().squeeze(1)
    assert torch.equal(changed, tiles)
    torch.testing.assert_close(bank.features(1).norm(dim=1), torch.ones(8))


def test_momentum_keeps_a_share_of_the_old_feature() -> None:
    bank = MemoryBank([1], 2, momentum=0.75)
    bank.write(0, torch.tensor([0]), torch.tensor([[1.0, 0.0]]))
    assert bank.features(0).tolist() == [[1.0, 0.0]]
    bank.write(0, torch.tensor([0]), torch.tensor([[0.0, 1.0]]))
    expected = torch.nn.functional.normalize(torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(bank.features(0), expected)
    bank.write(0, torch.tensor([0]), torch.tensor([[0.0, 1.0]]), has_momentum=False)
    assert bank.features(0).tolist() == [[0.0, 1.0]]


def test_stored_features_carry_no_gradient() -> None:
    bank = MemoryBank([2], 3)
    bank.write(0, torch.arange(2), torch.randn(2, 3, requires_grad=True))
    assert not bank.features(0).requires_grad


def test_a_slide_without_tiles_is_refused() -> None:
    with pytest.raises(SlideError, match="Slide number 2 of the bank has no tiles"):
        MemoryBank([4, 0, 2], 3)
