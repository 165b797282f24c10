"""Changes of a bank in a checkpoint: what is missing is told, what is of others is not read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from napari_dre_slcl.engine.bank_deltas import delta_file, read_deltas
from napari_dre_slcl.engine.checkpoint import Checkpoints, TrainedParts
from napari_dre_slcl.engine.checkpoint_files import CheckpointWriter
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.memory_bank import MemoryBank

COUNTS = [5, 3]


@dataclass
class _One:
    """A process of two, that need not meet."""

    rank: int
    size: int = 2

    def wait(self, problem: str = "") -> None:
        raise AssertionError(problem)


def _bank(folder: Path, owned: range) -> MemoryBank:
    return MemoryBank(COUNTS, 4, 2, folder=folder / "bank", owned=owned)


def _parts() -> TrainedParts:
    net = nn.Linear(2, 1)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    return TrainedParts(net, optimiser, torch.amp.GradScaler(enabled=False))


def _encoded(bank: MemoryBank) -> MemoryBank:
    bank.begin_generation("first")
    for slide in bank.owned:
        bank.fill(slide, torch.arange(COUNTS[slide]), torch.eye(COUNTS[slide], 4) + 1)
    bank.commit_generation()
    codewords = torch.eye(2, 4)
    bank.index(lambda found: (found.argmax(1) % 2, found[:, 0]), codewords)
    return bank


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Return a checkpoint of two processes."""
    writer = CheckpointWriter(tmp_path / "checkpoints", serial=1)
    writer.begin()
    writer.write(_parts().tensors())
    for rank in (0, 1):
        half = _encoded(_bank(tmp_path, range(rank, rank + 1)))
        writer.write(delta_file(_One(rank), half.changes()))
    return writer.finish("step-1", RunState(serial=1).model_dump_json())


def test_all_of_it_is_found_and_only_what_concerns_one_is_read(checkpoint: Path) -> None:
    every = read_deltas(checkpoint, lambda head: True)
    assert [part["span"].tolist() for part in every] == [[0, 5, 0, 1], [5, 8, 1, 2]]
    mine = read_deltas(checkpoint, lambda head: int(head["span"][0]) == 5)
    assert sorted(mine[0]) == ["generation", "span"]
    assert len(mine[1]["codeword"]) == 3


def test_one_process_goes_on_from_what_two_have_written(checkpoint: Path, tmp_path: Path) -> None:
    bank = _bank(tmp_path, range(2))
    Checkpoints(tmp_path).restore(_parts(), bank)
    whole = _encoded(MemoryBank(COUNTS, 4, 2))
    for slide in (0, 1):
        assert torch.equal(bank.features(slide), whole.features(slide))
        assert torch.equal(bank.sums(slide).residual, whole.sums(slide).residual)


@pytest.mark.parametrize("lost", [0, 1])
def test_changes_of_one_process_that_are_missing_are_told(
    checkpoint: Path, tmp_path: Path, lost: int
) -> None:
    (checkpoint / f"bank-delta-000{lost}.safetensors").unlink()
    with pytest.raises(JobError, match=r"of the 2 files 'bank-delta-\*' .* 1 are there"):
        Checkpoints(tmp_path).restore(_parts(), _bank(tmp_path, range(2)))


def test_cut_changes_are_told(checkpoint: Path, tmp_path: Path) -> None:
    path = checkpoint / "bank-delta-0001.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(JobError, match=r"bank-delta-0001\.safetensors' is damaged"):
        Checkpoints(tmp_path).restore(_parts(), _bank(tmp_path, range(2)))
