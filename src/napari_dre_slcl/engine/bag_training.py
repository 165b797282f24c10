"""A training of a method that learns from bags of frozen tile features."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.bag_estimate import bag_figures
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.gpu_memory import gpu_memory
from napari_dre_slcl.engine.lost_slides import LostSlides
from napari_dre_slcl.engine.method_run import ValidateNet
from napari_dre_slcl.engine.pinned import PinnedSlide
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.pretrain import Pretraining
from napari_dre_slcl.engine.read_bags import read_bags
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.methods.bag_method import BagTruth
from napari_dre_slcl.methods.registry import make_bag_method
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.seeds import seed_everything

__all__ = ["BagRun"]


class BagRun:
    """As `MethodRun` says; it keeps no checkpoint, a run that is broken off begins anew.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    prepared : PreparedCohort
        Slides and labels.
    reporter : Reporter
        Told everything; may pause and stop the run.

    Raises
    ------
    ConfigError, ModelError
        If the settings do not fit the cohort or this machine.
    """

    def __init__(self, config: DreSlclConfig, prepared: PreparedCohort, reporter: Reporter) -> None:
        if config.pretrain.epochs and prepared.feature_dim is not None:
            raise ConfigError(
                "pretrain.epochs trains the tile encoder, and this run has feature files in its "
                "place. Set pretrain.epochs to 0."
            )
        self.config = config
        self._prepared = prepared
        self._reporter = reporter
        torch.manual_seed(config.training.seed)
        encoder = build_encoder(config, prepared.feature_dim)
        counts = [len(task.classes) for task in prepared.tasks]
        self._method = make_bag_method(config, encoder, counts, encoder.dim)
        self.net.to(choose_device(config.training.device))
        self._fitted_on: list[str] = []

    @property
    def net(self) -> Any:
        """The network."""
        return self._method.net

    def try_out(self, run_dir: Path) -> None:
        """Say what a user would not expect."""
        encoder = self.config.encoder
        is_random = encoder.weights is None and not encoder.name.startswith("hf-hub:")
        if self._prepared.feature_dim is None and is_random and not self.config.pretrain.epochs:
            self._reporter.log(
                f"The tile encoder {encoder.name} has random weights, and {self.config.method} "
                "does not train it. Set encoder.weights, or pretrain.epochs.",
                "warning",
            )

    def estimate(self, run_dir: Path) -> dict[str, float]:
        """Probe how fast features come."""
        copies = self._method.copies_wanted if self._prepared.feature_dim is None else 0
        return bag_figures(
            self.config, self._prepared, self.net.encoder, copies, run_dir, self._reporter
        )

    def train(
        self,
        run_dir: Path,
        state: RunState,
        validate: ValidateNet | None,
        pinned: PinnedSlide | None = None,
    ) -> dict[str, str]:
        """Read the bags, then let the method learn from them."""
        prepared, config, seed = self._prepared, self.config, self.config.training.seed
        rows = prepared.rows("train")
        self._pretrain(rows, state)
        self.net.eval()
        copies = self._method.copies_wanted if prepared.feature_dim is None else 0
        read = read_bags(config, prepared, rows, self.net.encoder, self._reporter, copies)
        kept = [rows[position] for position in read.positions]
        self._fitted_on = [prepared.cohort.rows[row].slide_id for row in kept]
        truth = BagTruth(
            labels=torch.from_numpy(prepared.labels[kept]),
            task_names=tuple(task.name for task in prepared.tasks),
            patients=tuple(prepared.cohort.rows[row].patient_id for row in kept),
        )
        seed_everything(seed, "fit")
        self._reporter.progress("Training", 0, 1)
        self._method.fit(read.bags, truth, self._on_epoch(), validate)
        self.net.eval()
        if pinned is not None:
            pinned.write(self.net, 1, 1)
        return read.lost

    def fitted_on(self) -> dict[str, list[str]]:
        """Return the slides whose bags the method got."""
        return {"model": self._fitted_on, "normalisation": self._fitted_on}

    def _pretrain(self, rows: list[int], state: RunState) -> None:
        """Train the tile encoder without labels first, where that is asked for; then freeze it."""
        if self.config.pretrain.epochs:
            with closing(self._prepared.loader(rows, self.config)) as loader:
                lost = LostSlides(loader, state, self._reporter)
                walk = Pretraining(self.config, self.net, loader, lost, state)
                walk.run(self._reporter, lambda: None)
        self.net.encoder.requires_grad_(False)

    def _on_epoch(self) -> Callable[[int, int, dict[str, float]], None]:
        def tell(epoch: int, epochs: int, figures: dict[str, float]) -> None:
            if figures:
                self._reporter.metric(epoch, figures | gpu_memory(self.net.device))
            self._reporter.progress("Training", epoch, epochs, f"epoch {epoch}/{epochs}")

        return tell
