"""A bank on disk is, whenever its process dies, what the last checkpoint says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.codebook import assign_codewords
from napari_dre_slcl.model.memory_bank import MemoryBank

COUNTS = [40, 25]
DIM, K = 6, 4


def _unit(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(n, DIM, generator=generator), dim=1)


CODEWORDS = _unit(K, 99) * 0.5


def _assign(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return assign_codewords(features, CODEWORDS), 1 + features[:, 0].exp()


def _open(folder: Path | None, memory_mib: int = 64, counts: list[int] = COUNTS) -> MemoryBank:
    return MemoryBank(counts, DIM, K, folder=folder, memory_mib=memory_mib)


def _encode_all(bank: MemoryBank, tag: str = "first", seed: int = 0) -> None:
    bank.begin_generation(tag)
    for slide, count in enumerate(COUNTS):
        bank.fill(slide, torch.arange(count), _unit(count, seed + slide))
    bank.commit_generation()
    bank.index(_assign, CODEWORDS)


def _renew(bank: MemoryBank, generator: torch.Generator, step: int) -> None:
    rows = torch.randperm(sum(COUNTS), generator=generator)[:7]
    stored = bank.blended(rows, torch.randn(7, DIM, generator=generator))
    bank.write_rows(rows, stored, *_assign(stored), step)


def _contents(bank: MemoryBank) -> list[torch.Tensor]:
    parts = [bank.drifts(), bank.ages(1000)]
    for slide in range(len(COUNTS)):
        sums = bank.sums(slide)
        parts += [bank.features(slide), bank.codewords_of(slide), bank.weights_of(slide)]
        parts += [sums.residual, sums.mass, sums.count]
    return parts


def _is_equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("memory_mib", [64, 0], ids=["in memory", "mapped"])
def test_a_random_walk_of_writes_checkpoints_and_kills_equals_one_never_killed(
    tmp_path: Path, memory_mib: int
) -> None:
    steady, bank = _open(None), _open(tmp_path, memory_mib)
    _encode_all(steady)
    _encode_all(bank)
    steps = checkpoint = 0
    delta = bank.changes()
    bank.apply(delta)
    choice = torch.Generator().manual_seed(3)
    for _ in range(60):
        event = int(torch.randint(0, 10, (1,), generator=choice))
        if event < 6:
            _renew(bank, torch.Generator().manual_seed(steps), steps)
            steps += 1
        elif event < 8:  # checkpoint: the delta is safe, then the files follow
            delta, checkpoint = bank.changes(), steps
            if event == 7:
                bank.apply(delta)
                continue
        if event >= 8:  # killed; after an event 6, before the files followed
            bank = _open(tmp_path, memory_mib)
            bank.apply(delta)
            for step in range(checkpoint, steps):
                _renew(bank, torch.Generator().manual_seed(step), step)
    for step in range(steps):
        _renew(steady, torch.Generator().manual_seed(step), step)
    assert steps > 20
    assert _is_equal(_contents(bank), _contents(steady))


@pytest.mark.parametrize("memory_mib", [64, 0], ids=["in memory", "mapped"])
def test_files_hold_nothing_newer_than_the_last_applied_changes(tmp_path, memory_mib: int) -> None:
    bank = _open(tmp_path, memory_mib)
    _encode_all(bank)
    bank.apply(bank.changes())
    safe = _contents(bank)
    _renew(bank, torch.Generator().manual_seed(1), step=1)
    assert not _is_equal(_contents(bank), safe)
    assert _is_equal(_contents(_open(tmp_path, memory_mib)), safe)
    bank.apply(bank.changes())
    assert _is_equal(_contents(_open(tmp_path, memory_mib)), _contents(bank))


def test_changes_stay_marked_until_they_are_applied(tmp_path: Path) -> None:
    bank = _open(tmp_path)
    _encode_all(bank)
    bank.apply(bank.changes())
    assert len(bank.changes()["rows"]) == 0
    _renew(bank, torch.Generator().manual_seed(1), step=1)
    first, again = bank.changes(), bank.changes()
    assert len(first["rows"]) == len(first["codeword"]) == 7
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("times", [1, 3])
def test_applying_more_than_once_is_as_good_as_once(tmp_path: Path, times: int) -> None:
    bank = _open(tmp_path)
    _encode_all(bank)
    _renew(bank, torch.Generator().manual_seed(1), step=1)
    changes, expected = bank.changes(), _contents(bank)
    for _ in range(times):
        bank.apply(changes)
    assert _is_equal(_contents(_open(tmp_path)), expected)


def test_a_killed_fill_goes_on_where_it_was(tmp_path: Path) -> None:
    bank = _open(tmp_path)
    bank.begin_generation("first")
    bank.fill(0, torch.arange(40), _unit(40, 0))
    bank.close()
    again = _open(tmp_path)
    again.begin_generation("first")
    assert [again.missing(slide).tolist() for slide in (0, 1)] == [[], list(range(25))]
    again.fill(1, torch.arange(25), _unit(25, 1))
    again.commit_generation()
    again.index(_assign, CODEWORDS)
    steady = _open(None)
    _encode_all(steady)
    assert _is_equal(_contents(again), _contents(steady))


def test_a_fill_that_was_not_noted_yet_is_done_again(tmp_path: Path) -> None:
    bank = _open(tmp_path)
    bank.begin_generation("first")
    bank.fill(0, torch.arange(40), _unit(40, 0))  # killed at once: within the two seconds
    again = _open(tmp_path)
    again.begin_generation("first")
    assert len(again.missing(0)) == 40


def test_a_fill_with_another_encoder_is_thrown_away(tmp_path: Path) -> None:
    bank = _open(tmp_path)
    bank.begin_generation("first")
    bank.fill(0, torch.arange(40), _unit(40, 0))
    bank.close()
    again = _open(tmp_path)
    again.begin_generation("second")
    assert len(again.missing(0)) == 40
    assert [path.name for path in tmp_path.iterdir()] == ["gen-0001"]


def test_a_refill_that_no_checkpoint_names_leaves_the_old_generation(tmp_path: Path) -> None:
    bank = _open(tmp_path)
    _encode_all(bank)
    checkpoint = bank.changes()
    bank.apply(checkpoint)
    safe = _contents(bank)
    _encode_all(bank, "refill", seed=50)
    assert bank.generation == 2
    refilled = _contents(bank)
    killed = _open(tmp_path)
    killed.apply(checkpoint)
    assert killed.generation == 1
    assert _is_equal(_contents(killed), safe)
    killed.begin_generation("refill")
    assert not any(len(killed.missing(slide)) for slide in (0, 1))
    killed.commit_generation()
    killed.index(_assign, CODEWORDS)
    assert _is_equal(_contents(killed), refilled)


def test_a_checkpoint_opens_the_generation_that_it_names_and_drops_older_ones(tmp_path) -> None:
    bank = _open(tmp_path)
    _encode_all(bank)
    bank.apply(bank.changes())
    _encode_all(bank, "refill", seed=50)
    checkpoint, expected = bank.changes(), _contents(bank)
    killed = _open(tmp_path)
    assert killed.generation == 1
    killed.apply(checkpoint)
    assert killed.generation == 2
    assert _is_equal(_contents(killed), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["gen-0002"]


def test_the_bank_of_another_cohort_is_refused(tmp_path: Path) -> None:
    bank = _open(tmp_path)
    _encode_all(bank)
    bank.apply(bank.changes())
    with pytest.raises(JobError, match=r"belongs to another cohort.*Start a new run"):
        _open(tmp_path, counts=[25, 40])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    bank = _open(tmp_path)
    _encode_all(bank)
    bank.apply(bank.changes())
    (tmp_path / "gen-0001" / "weight.npy").unlink()
    with pytest.raises(JobError, match=r"weight\.npy' cannot be read"):
        _open(tmp_path)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no such call on this system")
def test_no_room_for_the_files_is_a_sentence_and_leaves_nothing_behind(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limit to set")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(JobError, match=r"needs [\d.]+ MB.*disk is full.*Free space"):
            _open(tmp_path).begin_generation("first")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
