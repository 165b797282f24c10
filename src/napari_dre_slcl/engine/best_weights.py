"""The weights of the best validation so far, and when to stop for want of a better one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.torch import save
from torch import nn

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.engine.checkpoint_files import read_tensors
from napari_dre_slcl.engine.run_state import BestEpoch, RunState

__all__ = ["BEST", "BestWeights"]

BEST = "best"
"""Folder of a run that holds them."""

_PREFIX = "val/auc/"


class BestWeights:
    """Early stopping on the mean validation AUC.

    Parameters
    ----------
    run_dir : Path
        Where the best weights are kept.
    patience : int
        Epochs without a better validation after which it is over; 0 never, and keeps nothing.
    writes : bool, default True
        Whether this process writes the file; another one does it else.
    """

    def __init__(self, run_dir: Path, patience: int, *, writes: bool = True) -> None:
        self._writes = writes
        self._folder = run_dir / BEST
        self._patience = patience

    def consider(self, state: RunState, net: nn.Module) -> None:
        """Keep the weights if this epoch's validation is the best so far.

        The file of the best before goes only with the next one, when a checkpoint names this one.
        """
        scores = [value for name, value in state.found.items() if name.startswith(_PREFIX)]
        if not self._patience or not scores:
            return
        score = float(np.mean(scores))
        if state.best is not None and score <= state.best.score:
            return
        before, state.best = state.best, BestEpoch(epoch=state.epoch, score=score)
        if not self._writes:
            return
        weights = {
            name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()
        }
        with atomic_writer(self._path(state.epoch)) as stream:
            stream.write(save(weights))
        for path in self._folder.glob("epoch-*.safetensors"):
            known = {self._path(state.epoch)} | ({self._path(before.epoch)} if before else set())
            if path not in known:
                path.unlink(missing_ok=True)

    def is_over(self, state: RunState) -> bool:
        """Whether so many epochs passed since the best that training should end."""
        if not self._patience or state.best is None:
            return False
        return state.epoch - 1 - state.best.epoch >= self._patience

    def sentence(self, state: RunState) -> str:
        """Return which weights are kept at the end, empty where validation does not decide."""
        if not self._patience:
            return ""
        if state.best is None:
            return (
                "No validation could be measured, so the last weights are kept; "
                "training.patience needs validation slides of two classes."
            )
        return (
            f"The weights of epoch {state.best.epoch} are kept, of {state.epoch - 1} trained: its "
            f"mean validation AUC was {state.best.score:.3f}."
        )

    def restore(self, state: RunState, net: nn.Module) -> None:
        """Load the best weights into the network, where some were kept."""
        if state.best is None:
            return
        net.load_state_dict(read_tensors(self._path(state.best.epoch)))

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:05d}.safetensors"
