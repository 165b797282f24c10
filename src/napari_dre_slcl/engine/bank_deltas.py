"""The changes of a memory bank in a checkpoint: one file of each process that had a part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from napari_dre_slcl.engine.checkpoint_files import read_tensors
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.bank_team import Team

__all__ = ["delta_file", "read_deltas"]

_NAME = "bank-delta"
_PART = "part"
_HEAD = ("generation", "span")


def delta_file(team: Team, changes: Mapping[str, Tensor]) -> dict[str, Mapping[str, Tensor]]:
    """Return the file, without suffix, that keeps one process's changes."""
    part = torch.tensor([team.rank, team.size])
    return {f"{_NAME}-{team.rank:04d}": {**changes, _PART: part}}


def read_deltas(
    checkpoint: Path, concerns: Callable[[Mapping[str, Tensor]], bool]
) -> list[dict[str, Tensor]]:
    """Return the changes of all processes.

    Parameters
    ----------
    checkpoint : Path
        Its folder.
    concerns : callable
        Takes the ``span`` of changes; where it says no, only ``generation`` and span are read.

    Raises
    ------
    JobError
        If a file is missing or damaged.
    """
    paths = sorted(checkpoint.glob(f"{_NAME}-*.safetensors"))
    parts = [read_tensors(path, [_PART])[_PART].tolist() for path in paths]
    size = parts[0][1] if parts else 1
    if parts != [[rank, size] for rank in range(size)]:
        raise JobError(
            f"The checkpoint '{checkpoint}' is damaged: of the {size} files '{_NAME}-*' that it "
            f"was written with, {len(parts)} are there. Bring them back, or start a new run."
        )
    changes = []
    for path in paths:
        head = read_tensors(path, _HEAD)
        changes.append(read_tensors(path) if concerns(head) else head)
    return changes
