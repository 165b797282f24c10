"""A trained network as plain arrays, and back: what is pickled holds no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.report_model import ReportModel
from napari_dre_slcl.cohort.tasks import Task
from napari_dre_slcl.config import DreSlclConfig, with_overrides

if TYPE_CHECKING:
    from napari_dre_slcl.model.bundle import Bundle

__all__ = ["FittedState"]


@dataclass(frozen=True, slots=True, eq=False)
class FittedState:
    """All that a fitted estimator knows.

    Parameters
    ----------
    weights : mapping of ndarray
        Weights and buffers of the network by name.
    config : DreSlclConfig
        The settings that it was trained with.
    task : Task
        Its classes, in the order of the network.
    text_dim : int
        Width of the report space; 0 without one.
    in_dim : int
        Width of a tile's features.
    report_model : ReportModel or None
        What was fitted on the reports.
    """

    weights: Mapping[str, NDArray[Any]]
    config: DreSlclConfig
    task: Task
    text_dim: int
    in_dim: int
    report_model: ReportModel | None

    @classmethod
    def of(cls, bundle: Bundle) -> FittedState:
        """Return what a bundle of one task holds, copied."""
        weights = {
            name: np.array(tensor.detach().cpu().numpy())
            for name, tensor in bundle.net.state_dict().items()
        }
        return cls(
            weights,
            bundle.config,
            bundle.tasks[0],
            bundle.text_dim,
            int(bundle.net.encoder.in_dim),
            bundle.report_model,
        )

    def bundle(self) -> Bundle:
        """Return the network again, on the CPU, in evaluation mode."""
        import torch

        from napari_dre_slcl.model.bundle import Bundle
        from napari_dre_slcl.model.encoders import build_encoder
        from napari_dre_slcl.model.nets import build_net

        with torch.random.fork_rng(devices=[]):  # weights that are drawn first, then set
            encoder = build_encoder(self.config, self.in_dim)
            net = build_net(self.config, [len(self.task.classes)], self.text_dim, encoder)
        net.load_state_dict({name: torch.tensor(array) for name, array in self.weights.items()})
        net.eval()
        return Bundle(net, self.config, (self.task,), self.text_dim, report_model=self.report_model)

    def with_task(self, name: str) -> FittedState:
        """Return the same with another name of the task, as the window shows it."""
        return replace(
            self,
            config=with_overrides(self.config, {"cohort.tasks": (name,)}),
            task=replace(self.task, name=name),
        )

    def save(self, folder: Path, facts: dict[str, Any]) -> Path:
        """Write a model folder; raises `ModelError` where it exists or cannot be written."""
        from napari_dre_slcl.model.bundle import save_bundle

        return save_bundle(self.bundle(), folder, facts)
