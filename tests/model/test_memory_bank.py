"""The bank keeps one unit feature a tile, changes only what is written, and its sums stay true."""

from __future__ import annotations

import pytest
import torch

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.model.codebook import assign_codewords
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.residual_sums import ResidualSums

DTYPES = [torch.float16, torch.float32, torch.float64]


def _unit(n: int, dim: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, dim, generator=generator), dim=1)


def _assign(codewords: torch.Tensor):
    def assign(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # A weight that depends on the feature, as attention does.
        return assign_codewords(features, codewords.to(features)), 1 + features[:, 0].exp()

    return assign


def _filled(counts: list[int], dim: int = 6, k: int = 4, **options: object) -> MemoryBank:
    bank = MemoryBank(counts, dim, k, **options)  # type: ignore[arg-type]
    for slide, count in enumerate(counts):
        bank.fill(slide, torch.arange(count), _unit(count, dim, slide))
    bank.commit_generation()
    codewords = _unit(k, dim, 99) * 0.5
    bank.index(_assign(codewords), codewords)
    return bank


def _renew(bank: MemoryBank, rows: torch.Tensor, features: torch.Tensor, step: int) -> None:
    stored = bank.blended(rows, features)
    codeword, weight = _assign(_unit(4, bank.dim, 99) * 0.5)(stored)
    bank.write_rows(rows, stored, codeword, weight, step)


def _anew(bank: MemoryBank, slide: int, tiles: torch.Tensor | None = None) -> ResidualSums:
    """Add up a slide's residuals one tile after another, in doubles."""
    codewords = (_unit(4, bank.dim, 99) * 0.5).double()
    residual, mass, count = torch.zeros(4, bank.dim).double(), torch.zeros(4), torch.zeros(4)
    parts = (bank.features(slide, tiles), bank.weights_of(slide, tiles))
    for feature, weight, k in zip(*parts, bank.codewords_of(slide, tiles), strict=True):
        residual[k] += weight * (feature.double() - codewords[k])
        mass[k] += weight
        count[k] += 1
    return ResidualSums(residual, mass, count)


def _assert_same(sums: ResidualSums, expected: ResidualSums, tolerance: float = 1e-5) -> None:
    scale = float(expected.residual.norm())
    assert float((sums.residual.double() - expected.residual).norm()) <= tolerance * scale
    torch.testing.assert_close(sums.mass.double(), expected.mass.double(), rtol=1e-5, atol=1e-6)
    assert sums.count.tolist() == expected.count.tolist()


def test_a_bank_is_full_once_every_tile_is_filled() -> None:
    bank = MemoryBank([3, 2], 4, 2)
    bank.fill(0, torch.arange(3), torch.randn(3, 4))
    assert not bank.is_full
    assert [bank.missing(slide).tolist() for slide in (0, 1)] == [[], [0, 1]]
    bank.fill(1, torch.arange(2), torch.randn(2, 4))
    assert bank.is_full
    assert [bank.tile_count(slide) for slide in range(len(bank))] == [3, 2]
    assert (bank.n_tiles, bank.dim) == (5, 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exactly_the_written_rows_change_and_all_are_unit(dtype: torch.dtype) -> None:
    bank = _filled([10, 8, 5], dtype=dtype)
    before = [bank.features(slide) for slide in range(3)]
    tiles = torch.tensor([1, 4, 7])
    _renew(bank, bank.rows(1, tiles), torch.randn(3, 6) * 9, step=1)
    for slide in (0, 2):
        assert torch.equal(bank.features(slide), before[slide])
    changed = (bank.features(1) != before[1]).any(1).nonzero().squeeze(1)
    assert torch.equal(changed, tiles)
    norms = bank.features(1).norm(dim=1).double()
    rounding = 2e-3 if dtype == torch.float16 else 1e-6
    torch.testing.assert_close(norms, torch.ones(8).double(), atol=rounding, rtol=0)


def test_momentum_keeps_a_share_of_the_old_feature_and_a_fill_does_not() -> None:
    bank = MemoryBank([1], 2, 2, momentum=0.75, dtype=torch.float32)
    bank.fill(0, torch.tensor([0]), torch.tensor([[1.0, 0.0]]))
    bank.commit_generation()
    assert bank.features(0).tolist() == [[1.0, 0.0]]
    blended = bank.blended(torch.tensor([0]), torch.tensor([[0.0, 1.0]]))
    expected = torch.nn.functional.normalize(torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(blended, expected)
    bank.fill(0, torch.tensor([0]), torch.tensor([[0.0, 1.0]]))
    bank.commit_generation()
    assert bank.features(0).tolist() == [[0.0, 1.0]]


def test_stored_features_carry_no_gradient_and_are_copies() -> None:
    bank = MemoryBank([2], 3, 2)
    bank.fill(0, torch.arange(2), torch.randn(2, 3, requires_grad=True))
    features = bank.features(0)
    assert not features.requires_grad
    kept = features.clone()
    features += 1
    assert torch.equal(bank.features(0), kept)


def test_a_slide_without_tiles_is_refused() -> None:
    with pytest.raises(SlideError, match="Slide number 2 of the bank has no tiles"):
        MemoryBank([4, 0, 2], 3, 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_indexed_sums_equal_a_plain_loop_over_the_stored_rows(dtype: torch.dtype) -> None:
    bank = _filled([30, 9], dtype=dtype)
    for slide in (0, 1):
        _assert_same(bank.sums(slide), _anew(bank, slide))


def test_sums_without_some_tiles_are_the_sums_of_the_others() -> None:
    bank = _filled([30, 9])
    tiles = torch.tensor([29, 3, 14])
    others = torch.tensor([tile for tile in range(30) if tile not in tiles.tolist()])
    _assert_same(bank.without(0, tiles), _anew(bank, 0, others))
    together = bank.without_rows(torch.tensor([1, 0]), bank.rows(0, tiles))
    _assert_same(together.slide(0), bank.sums(1))
    _assert_same(together.slide(1), _anew(bank, 0, others))


def test_a_codeword_that_is_left_without_tiles_is_exactly_zero() -> None:
    bank = _filled([30, 9])
    codeword = bank.codewords_of(0)
    k = int(codeword[0])
    sums = bank.without(0, (codeword == k).nonzero().squeeze(1))
    assert torch.equal(sums.residual[k], torch.zeros(6))
    assert (sums.mass[k], sums.count[k]) == (0, 0)
    nothing = bank.without(1, torch.arange(9))
    assert torch.equal(nothing.residual, torch.zeros(4, 6))
    assert not nothing.mass.any()


def test_sums_hold_after_a_hundred_thousand_random_updates() -> None:
    bank = _filled([150, 50], dim=8, dtype=torch.float32)
    generator = torch.Generator().manual_seed(1)
    before = torch.cat([bank.codewords_of(slide) for slide in (0, 1)])
    for step in range(1000):
        rows = torch.randperm(200, generator=generator)[:100]
        features = torch.randn(100, 8, generator=generator)
        _renew(bank, rows, features, step)
    after = torch.cat([bank.codewords_of(slide) for slide in (0, 1)])
    assert (after != before).float().mean() > 0.5
    for slide in (0, 1):
        _assert_same(bank.sums(slide), _anew(bank, slide), tolerance=1e-4)


def test_age_and_drift_of_each_tile_are_kept() -> None:
    bank = _filled([4, 3], dtype=torch.float64)
    assert bank.drifts().tolist() == [1] * 7
    old = bank.features(1, torch.tensor([2]))
    fresh = _unit(1, 6, 50).double()
    _renew(bank, bank.rows(1, torch.tensor([2])), fresh, step=12)
    cosine = float((old * fresh).sum())
    assert bank.drifts()[6].item() == pytest.approx(cosine, abs=1e-6)
    assert bank.ages(20).tolist() == [20] * 6 + [8]
    summary = bank.summary(step=20, since=12)
    assert summary == pytest.approx({"drift": cosine, "age": (6 * 20 + 8) / 7}, abs=1e-6)


def test_a_refill_counts_as_writing_and_its_drift_is_told() -> None:
    bank = _filled([4], dtype=torch.float64)
    old = bank.features(0)
    fresh = _unit(4, 6, 77).double()
    bank.begin_generation("second", step=9)
    assert bank.missing(0).tolist() == [0, 1, 2, 3]
    bank.fill(0, torch.arange(4), fresh)
    bank.commit_generation()
    torch.testing.assert_close(bank.features(0), fresh)
    torch.testing.assert_close(bank.drifts().double(), (old * fresh).sum(1), atol=1e-6, rtol=0)
    assert bank.ages(9).tolist() == [0, 0, 0, 0]
    assert bank.generation == 2


def test_the_stalest_tiles_come_slide_by_slide() -> None:
    bank = _filled([4, 3])
    for step, row in enumerate([0, 5, 2, 6], start=1):
        _renew(bank, torch.tensor([row]), torch.randn(1, 6), step)
    found = [(slide, tiles.tolist()) for slide, tiles in bank.stalest(4)]
    assert found == [(0, [0, 1, 3]), (1, [0])]
    assert bank.stalest(0) == []


def test_a_slide_that_was_never_encoded_is_left_out_of_the_index() -> None:
    bank = MemoryBank([3, 2], 6, 4)
    bank.fill(0, torch.arange(3), _unit(3, 6, 0))
    bank.fill(1, torch.tensor([1]), _unit(1, 6, 1))
    bank.commit_generation()
    codewords = _unit(4, 6, 99) * 0.5
    bank.index(_assign(codewords), codewords)
    assert bank.sums(0).count.sum() == 3
    assert bank.sums(1).count.sum() == 0
