"""Everything needed to go on exactly: weights, optimiser, changed bank rows and the position.

Random numbers depend on seed and position alone (`model.seeds`), so no random state is kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from napari_dre_slcl.engine.checkpoint_files import (
    STATE_FILE,
    latest_checkpoint,
    read_tensors,
    remove_other_checkpoints,
    write_checkpoint,
)
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.weight_average import WeightAverage
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.memory_bank import MemoryBank

__all__ = ["CHECKPOINTS", "Checkpoints", "TrainedParts", "read_state"]

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True, eq=False)
class TrainedParts:
    """What a checkpoint keeps as tensors.

    Parameters
    ----------
    module : nn.Module
        The network, or what pretrains its encoder.
    optimiser : torch.optim.Optimizer
        Of the module's parameters.
    scaler : torch.amp.GradScaler
        Of the loss; does nothing unless fp16 is used.
    bank : MemoryBank, optional
        Where it is in use yet.
    average : WeightAverage, optional
        Where one is kept.
    """

    module: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    bank: MemoryBank | None = None
    average: WeightAverage | None = None


class Checkpoints:
    """Writes and reads the checkpoints of a run folder; only the newest is kept.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    """

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / CHECKPOINTS

    def save(self, state: RunState, parts: TrainedParts) -> None:
        """Write a checkpoint; then let the bank's files follow, and delete the one before.

        Killed at any moment, this leaves a whole checkpoint whose changes to the bank can be
        written again.

        Raises
        ------
        OSError
            If the disk is full, or cannot be written; the checkpoint before is whole.
        """
        state.serial += 1
        state.scaler = {key: float(value) for key, value in parts.scaler.state_dict().items()}
        tensors: dict[str, Mapping[str, Tensor]] = {
            "model": parts.module.state_dict(),
            "optimizer": _optimiser_tensors(parts),
        }
        if parts.average is not None:
            tensors["average"] = parts.average.net.state_dict()
        changes = parts.bank.changes() if parts.bank is not None else {}
        tensors["bank-delta"] = changes
        path = write_checkpoint(self._folder, self._name(state), tensors, state.model_dump_json())
        if parts.bank is not None:
            parts.bank.apply(changes)
        remove_other_checkpoints(self._folder, keep=path)

    def restore(self, parts: TrainedParts) -> None:
        """Load the newest checkpoint into the parts.

        Raises
        ------
        JobError
            If it is damaged or belongs to another network.
        """
        path = latest_checkpoint(self._folder)
        if path is None:
            raise JobError(f"The folder '{self._folder}' has no checkpoint to go on from.")
        state = _parse_state(path)
        try:
            parts.module.load_state_dict(read_tensors(path / "model.safetensors"))
            _load_optimiser(parts, read_tensors(path / "optimizer.safetensors"))
            if parts.average is not None:
                parts.average.net.load_state_dict(read_tensors(path / "average.safetensors"))
        except (RuntimeError, KeyError, ValueError) as error:
            raise JobError(
                f"The checkpoint '{path}' belongs to another network: {error}. "
                "Start the training again."
            ) from error
        if state.scaler:
            parts.scaler.load_state_dict(dict(state.scaler))
        changes = read_tensors(path / "bank-delta.safetensors")
        if parts.bank is not None and changes:
            parts.bank.apply(changes)

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
        return RunState.model_validate_json((path / STATE_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise JobError(
            f"The checkpoint '{path}' is not of this version of the package. Install the version "
            "that started the run, or start the training again."
        ) from error


def _optimiser_tensors(parts: TrainedParts) -> dict[str, Tensor]:
    names = {id(value): name for name, value in parts.module.named_parameters()}
    return {
        f"{names[id(parameter)]}/{key}": torch.as_tensor(value)
        for parameter, state in parts.optimiser.state.items()
        for key, value in state.items()
    }


def _load_optimiser(parts: TrainedParts, tensors: Mapping[str, Tensor]) -> None:
    by_name: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for path, value in tensors.items():
        name, _, key = path.rpartition("/")
        by_name[name][key] = value
    names = {id(value): name for name, value in parts.module.named_parameters()}
    parameters = [value for group in parts.optimiser.param_groups for value in group["params"]]
    saved = parts.optimiser.state_dict()
    saved["state"] = {
        index: by_name[names[id(parameter)]]
        for index, parameter in enumerate(parameters)
        if names[id(parameter)] in by_name
    }
    parts.optimiser.load_state_dict(saved)
