"""Everything needed to go on exactly: weights, optimiser, changed bank rows and the position.

Random numbers depend on seed and position alone (`model.seeds`), so no random state is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from napari_dre_slcl.engine.bank_deltas import delta_file, read_deltas
from napari_dre_slcl.engine.checkpoint_files import (
    STATE_FILE,
    CheckpointWriter,
    latest_checkpoint,
    read_tensors,
    remove_other_checkpoints,
)
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.weight_average import WeightAverage
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.bank_team import ALONE, Team
from napari_dre_slcl.model.bank_together import together
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.untrusted import read_bytes

__all__ = [
    "CHECKPOINTS",
    "Checkpoints",
    "Kept",
    "TrainedParts",
    "optimiser_state",
    "optimiser_tensors",
    "read_state",
]

CHECKPOINTS = "checkpoints"
_MOST_BYTES = 2**28
_CHANNELS_LAST = "@channels_last"
ReadTensors = Callable[[str], dict[str, Tensor]]


class Kept(Protocol):
    """What a checkpoint keeps as tensors, beside the changes of a bank."""

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """Return file name without suffix -> tensors by name."""

    def load(self, read: ReadTensors) -> None:
        """Take over what was saved; ``read`` returns the tensors of a file."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedParts:
    """The network and all that changes with it.

    Parameters
    ----------
    net : nn.Module
        The network.
    optimiser : torch.optim.Optimizer
        Of its parameters.
    scaler : torch.amp.GradScaler
        Of the loss; does nothing unless fp16 is used.
    average : WeightAverage, optional
        Where one is kept.
    """

    net: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: WeightAverage | None = None

    def tensors(self) -> dict[str, Mapping[str, Tensor]]:
        """Return file name without suffix -> tensors by name."""
        scaler = {key: torch.tensor(x) for key, x in self.scaler.state_dict().items()}
        files: dict[str, Mapping[str, Tensor]] = {
            "model": self.net.state_dict(),
            "optimizer": optimiser_tensors(self.optimiser.state_dict()),
            "scaler": scaler,
        }
        if self.average is not None:
            files["average"] = self.average.net.state_dict()
        return files

    def load(self, read: ReadTensors) -> None:
        """Take over what was saved; ``read`` returns the tensors of a file."""
        self.net.load_state_dict(read("model"))
        saved = optimiser_state(self.optimiser.state_dict(), read("optimizer"))
        self.optimiser.load_state_dict(saved)
        if self.average is not None:
            self.average.net.load_state_dict(read("average"))
        if self.scaler.is_enabled():
            # Numbers of their own kind: torch takes no float for a count of steps.
            self.scaler.load_state_dict({key: x.item() for key, x in read("scaler").items()})


class Checkpoints:
    """Writes and reads the checkpoints of a run folder; only the newest is kept.

    Of several processes the first writes what all have alike, and each what changed in its own
    rows of the bank. Any number of processes can go on from that.

    Parameters
    ----------
    run_dir : Path
        The run folder, the same for all.
    team : Team
        The processes; all of them call every method.
    """

    def __init__(self, run_dir: Path, team: Team = ALONE) -> None:
        self._folder = run_dir / CHECKPOINTS
        self._team = team
        self._is_main = team.rank == 0

    def save(self, state: RunState, kept: Kept, bank: MemoryBank | None = None) -> None:
        """Write a checkpoint; then let the bank's files follow, and delete the one before.

        Killed at any moment, in any process, this leaves a whole checkpoint whose changes to the
        bank can be written again.

        Parameters
        ----------
        state : RunState
            Where the run stands, the same in all processes; its serial number rises.
        kept : Kept
            Weights and optimiser.
        bank : MemoryBank, optional
            Where it is in use yet.

        Raises
        ------
        OSError
            If the disk is full, or cannot be written; the checkpoint before is whole.
        JobError
            If that happened to another process.
        """
        state.serial += 1
        writer = CheckpointWriter(self._folder, state.serial)
        changes = bank.changes() if bank is not None else {}
        try:
            with together(self._team):
                if self._is_main:
                    writer.begin()
            with together(self._team):
                files = dict(kept.tensors()) if self._is_main else {}
                if bank is not None:
                    files |= delta_file(self._team, changes)
                writer.write(files)
            with together(self._team):
                if self._is_main:
                    path = writer.finish(self._name(state), state.model_dump_json())
        finally:
            if self._is_main:
                writer.discard()
        if bank is not None:
            bank.apply(changes)
        if self._is_main:
            remove_other_checkpoints(self._folder, keep=path)

    def restore(self, kept: Kept, bank: MemoryBank | None = None) -> None:
        """Load the newest checkpoint, whatever number of processes has written it.

        Raises
        ------
        JobError
            If it is damaged or belongs to another network.
        """
        with together(self._team):
            path = latest_checkpoint(self._folder)
            if path is None:
                raise JobError(f"The folder '{self._folder}' has no checkpoint to go on from.")
            try:
                kept.load(lambda name: read_tensors(path / f"{name}.safetensors"))
            except (RuntimeError, KeyError, ValueError) as error:
                raise JobError(
                    f"The checkpoint '{path}' belongs to another network: {error}. "
                    "Start the training again."
                ) from error
            changes = [] if bank is None else read_deltas(path, bank.concerns)
        if bank is not None:
            bank.apply(changes)

    def _name(self, state: RunState) -> str:
        is_early = state.phase == "pretrain"
        step = state.pretrain_step if is_early else state.step
        name = f"{'pretrain' if is_early else 'step'}-{step:08d}"
        return f"{name}-{state.serial}" if (self._folder / name).exists() else name


def read_state(run_dir: Path) -> RunState | None:
    """Return where the newest checkpoint of a run stands, None where it has none.

    Raises
    ------
    JobError
        If it was written by a version of another format.
    """
    path = latest_checkpoint(run_dir / CHECKPOINTS)
    return None if path is None else _parse_state(path)


def _parse_state(path: Path) -> RunState:
    try:
        return RunState.model_validate_json(read_bytes(path / STATE_FILE, _MOST_BYTES))
    except (OSError, ValueError) as error:
        raise JobError(
            f"The checkpoint '{path}' is not of this version of the package. Install the version "
            "that started the run, or start the training again."
        ) from error


def optimiser_tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of an optimiser's ``state_dict``, by number of the weight and by name.

    The file keeps no memory layout, and a fused optimiser takes a moment's layout to be that of its
    weight, whatever it is; so the name says where it is channels-last.
    """
    tensors = {}
    for index, values in state["state"].items():
        for key, value in values.items():
            tensor = torch.as_tensor(value)
            mark = _CHANNELS_LAST if _is_channels_last(tensor) else ""
            tensors[f"{index}/{key}{mark}"] = tensor
    return tensors


def optimiser_state(state: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return an optimiser's ``state_dict`` with the tensors that were saved of it."""
    values: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        name = path.removesuffix(_CHANNELS_LAST)
        if name != path:
            value = value.contiguous(memory_format=torch.channels_last)
        index, _, key = name.partition("/")
        values.setdefault(int(index), {})[key] = value
    return {**state, "state": values}


def _is_channels_last(tensor: Tensor) -> bool:
    return (
        tensor.dim() == 4
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=torch.channels_last)
    )
