"""Parts of a bank, each of some slides, are together what one bank of all slides is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.format import open_memmap

from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.bank_rows import BLOCK_BYTES, SharedFile
from napari_dre_slcl.model.bank_tally import bank_summary
from napari_dre_slcl.model.bank_team import ALONE, Team
from napari_dre_slcl.model.codebook import assign_codewords
from napari_dre_slcl.model.memory_bank import MemoryBank

COUNTS = [9, 4, 12, 5]
DIM, K = 6, 4
CUTS = [range(2), range(2, 2), range(2, 4)]


def _unit(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, DIM, generator=generator), dim=1)


CODEWORDS = _unit(K, 99) * 0.5


def _assign(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return assign_codewords(features, CODEWORDS), 1 + features[:, 0].exp()


def _bank(owned: range | None = None, folder: Path | None = None, team: Team = ALONE) -> MemoryBank:
    return MemoryBank(COUNTS, DIM, K, folder=folder, owned=owned, team=team)


def _encode(bank: MemoryBank, seed: int = 0) -> MemoryBank:
    bank.begin_generation("first")
    for slide in bank.owned:
        bank.fill(slide, torch.arange(COUNTS[slide]), _unit(COUNTS[slide], seed + slide))
    bank.commit_generation()
    bank.index(_assign, CODEWORDS)
    return bank


def _renew(bank: MemoryBank, slide: int, step: int) -> None:
    if slide in bank.owned:
        rows = bank.rows(slide, torch.tensor([3, 1]))
        stored = bank.blended(rows, _unit(2, 1000 + step))
        bank.write_rows(rows, stored, *_assign(stored), step)


def _walked(bank: MemoryBank) -> MemoryBank:
    for step, slide in enumerate([0, 3, 2, 0, 1, 3], start=1):
        _renew(bank, slide, step)
    return bank


def _assert_same(part: MemoryBank, whole: MemoryBank) -> None:
    for slide in part.owned:
        assert torch.equal(part.features(slide), whole.features(slide))
        assert torch.equal(part.codewords_of(slide), whole.codewords_of(slide))
        assert torch.equal(part.weights_of(slide), whole.weights_of(slide))
        assert torch.equal(part.sums(slide).residual, whole.sums(slide).residual)
        some = torch.tensor([2, 0])
        assert torch.equal(part.without(slide, some).mass, whole.without(slide, some).mass)
        ages = whole.ages(9)[whole.rows(slide)]
        assert torch.equal(part.ages(9)[part.rows(slide)], ages)


def test_parts_hold_what_the_whole_holds_and_know_how_large_it_is() -> None:
    whole = _walked(_encode(_bank()))
    for owned in CUTS:
        part = _walked(_encode(_bank(owned)))
        assert (len(part), part.n_tiles, part.owned) == (4, 30, owned)
        assert [part.tile_count(slide) for slide in range(4)] == COUNTS
        assert len(part.drifts()) == sum(COUNTS[slide] for slide in owned)
        assert part.is_full
        _assert_same(part, whole)


def test_several_slides_at_once_are_taken_out_by_their_numbers() -> None:
    whole, part = _encode(_bank()), _encode(_bank(range(2, 4)))
    slides = torch.tensor([3, 2])
    found, expected = (
        bank.without_rows(slides, torch.cat([bank.rows(2, torch.tensor([4])), bank.rows(3)]))
        for bank in (part, whole)
    )
    assert torch.equal(found.residual, expected.residual)
    assert found.count[0].sum() == 0


def test_a_process_without_slides_of_a_batch_does_nothing() -> None:
    part = _encode(_bank(range(1)))
    nothing = torch.empty(0, dtype=torch.int64)
    assert part.without_rows(nothing, nothing).residual.shape == (0, K, DIM)
    before = part.features(0)
    part.write_rows(nothing, part.blended(nothing, torch.empty(0, DIM)), nothing, nothing, 1)
    assert torch.equal(part.features(0), before)


@pytest.mark.parametrize(
    "ask",
    [
        lambda bank: bank.features(0),
        lambda bank: bank.rows(3, torch.tensor([0])),
        lambda bank: bank.missing(0),
        lambda bank: bank.sums(3),
        lambda bank: bank.without_rows(torch.tensor([1, 3]), torch.tensor([0])),
        lambda bank: bank.fill(0, torch.tensor([0]), torch.ones(1, DIM)),
        lambda bank: bank.features_of_any(0, torch.tensor([0])),
    ],
    ids=["features", "rows", "missing", "sums", "without", "fill", "of any, without files"],
)
def test_slides_of_other_processes_are_refused(ask: Callable[[MemoryBank], object]) -> None:
    with pytest.raises(ValueError, match="another process"):
        ask(_encode(_bank(range(1, 3))))


def test_tallies_of_the_parts_make_the_summary_of_the_whole() -> None:
    whole = _walked(_encode(_bank()))
    parts = [_walked(_encode(_bank(owned))) for owned in CUTS]
    for since in (0, 4, 7):
        told = bank_summary(part.tally(9, since) for part in parts)
        assert told == pytest.approx(whole.summary(9, since), rel=1e-12)
    assert whole.summary(9, since=7)["drift"] == 1.0


def test_the_stalest_tiles_are_named_by_their_slides() -> None:
    part = _bank(range(2, 4))
    _walked(_encode(part))
    found = [(slide, tiles.tolist()) for slide, tiles in part.stalest(12)]
    assert found == [(2, [0, 2, *range(4, 12)]), (3, [0, 2])]


@pytest.mark.parametrize("has_files", [True, False])
def test_changes_of_other_parts_are_taken_up_where_they_are_owned(
    tmp_path: Path, has_files: bool
) -> None:
    folder = tmp_path if has_files else None
    first = [_encode(_bank(owned, folder)) for owned in CUTS]
    for part in first:
        part.apply(part.changes())
    changes = [_walked(part).changes() for part in first]
    whole = _walked(_encode(_bank()))
    for owned in (range(4), range(1, 3), range(3, 4), range(4, 4)):
        again = _bank(owned, folder)
        if not has_files:
            _encode(again)
        again.apply(changes)
        again.apply(changes[::-1])
        _assert_same(again, whole)


def test_an_index_of_some_parts_reaches_all_that_own_their_slides_next(tmp_path: Path) -> None:
    first = [_encode(_bank(owned, tmp_path)) for owned in CUTS]
    changes = [part.changes() for part in first]  # codeword and weight of every tile
    whole = _encode(_bank())
    for owned in (range(1), range(1, 3), range(3, 4)):
        again = _bank(owned, tmp_path)
        again.apply(changes)
        _assert_same(again, whole)


def test_features_of_other_slides_are_as_the_files_have_them(tmp_path: Path) -> None:
    first, second = (_encode(_bank(owned, tmp_path)) for owned in (range(2), range(2, 4)))
    tiles = torch.tensor([3, 0])
    of_file = second.features(3, tiles)
    assert torch.equal(first.features_of_any(3, tiles), of_file)
    assert torch.equal(first.features_of_any(0, tiles), first.features(0, tiles))
    _renew(second, 3, step=5)
    assert torch.equal(first.features_of_any(3, tiles), of_file)
    assert first.ages_of_any(3, 6).tolist() == [6] * 5
    second.apply(second.changes())
    assert torch.equal(first.features_of_any(3, tiles), second.features(3, tiles))
    assert first.ages_of_any(3, 6).tolist() == [6, 1, 6, 1, 6]


class _Threads:
    """A team of threads."""

    def __init__(self, rank: int, size: int, told: list[str], barrier: threading.Barrier) -> None:
        self.rank, self.size, self._told, self._barrier = rank, size, told, barrier

    def wait(self, problem: str = "") -> None:
        self._told[self.rank] = problem
        self._barrier.wait(20)
        problems = [f"{rank}: {told}" for rank, told in enumerate(self._told) if told]
        self._barrier.wait(20)
        if problems:
            raise JobError(problems[0])


def _in_threads(size: int, work: Callable[[Team], object]) -> list[object]:
    told, barrier, found = [""] * size, threading.Barrier(size), [None] * size

    def run(rank: int) -> None:
        try:
            found[rank] = work(_Threads(rank, size, told, barrier))
        except JobError as error:
            found[rank] = str(error)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


def test_one_makes_the_files_and_all_fill_them(tmp_path: Path) -> None:
    whole = _walked(_encode(_bank()))

    def work(team: Team) -> None:
        part = _walked(_encode(_bank(CUTS[team.rank], tmp_path, team)))
        part.apply(part.changes())
        _encode(part, seed=50)
        part.apply(part.changes())
        _walked(_encode(part))
        part.apply(part.changes())

    assert _in_threads(3, work) == [None] * 3
    assert [path.name for path in tmp_path.iterdir()] == ["gen-0003"]
    _assert_same(_bank(folder=tmp_path), whole)


def test_trouble_of_one_is_raised_in_all(tmp_path: Path) -> None:
    (tmp_path / "bank").write_text("no folder")

    def begin(team: Team) -> None:
        _bank(CUTS[team.rank], tmp_path / "bank", team).begin_generation("first")

    found = _in_threads(3, begin)
    assert "The memory bank cannot be written to" in str(found[0])
    assert [str(other).startswith("0: The memory bank cannot") for other in found] == [
        False,
        True,
        True,
    ]


def test_a_missing_file_of_the_bank_is_told_to_all(tmp_path: Path) -> None:
    parts = [MemoryBank] * 0

    def encode(team: Team) -> None:
        parts.append(_encode(_bank(CUTS[team.rank], tmp_path, team)))

    assert _in_threads(3, encode) == [None] * 3
    (tmp_path / "gen-0001" / "drift.npy").unlink()

    def apply(team: Team) -> None:
        part = next(part for part in parts if part.owned == CUTS[team.rank])
        part.apply(part.changes())

    found = [str(told) for told in _in_threads(3, apply)]
    assert all("drift.npy' cannot be read" in told for told in found)


@pytest.mark.parametrize("cut", [0, 1, 700, 5000, 9999, 10_000])
def test_neighbours_in_a_file_write_their_own_rows_and_no_others(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.npy"
    width = BLOCK_BYTES // 8 // 2000  # a block holds about 2000 rows, and ends within one
    open_memmap(path, mode="w+", dtype=np.float64, shape=(10_000, width)).flush()
    expected = np.zeros((10_000, width))
    random = np.random.default_rng(cut)
    for turn in range(3):
        for part in (range(cut), range(cut, 10_000)):
            shared = SharedFile(path, part)
            rows = random.permutation(len(part))[: len(part) // 4 + 1]
            values = random.standard_normal((len(rows), width))
            shared.write(torch.from_numpy(rows), torch.from_numpy(values))
            expected[part.start + rows] = values
            whole = slice(len(part) // 3, len(part) // 2)
            shared.write(whole, torch.full((whole.stop - whole.start, width), turn).double())
            expected[part.start + whole.start : part.start + whole.stop] = turn
            assert np.array_equal(shared.values.numpy(), expected[part.start : part.stop])
            shared.flush()
    assert np.array_equal(np.load(path), expected)
