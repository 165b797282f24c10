"""A training of DRE-SLCL: its memory bank, its checkpoints and its processes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.least_steps import with_least_steps
from napari_dre_slcl.engine.make_method import make_bank, make_method
from napari_dre_slcl.engine.method_run import ValidateNet
from napari_dre_slcl.engine.pinned import PinnedSlide
from napari_dre_slcl.engine.preflight import preflight
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.shards import shard_ranges
from napari_dre_slcl.engine.training import Training
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.model.encoders import normalises_by_batch
from napari_dre_slcl.model.network import DreSlclNet

__all__ = ["BANK", "DreSlclRun"]

BANK = "bank"
"""Folder of a run that holds the memory bank."""


class DreSlclRun:
    """As `MethodRun` says.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    prepared : PreparedCohort
        Slides, labels and reports.
    reporter : Reporter
        Told everything; may pause and stop the run.
    is_kept : bool, default True
        False keeps neither checkpoints nor the bank on disk; a run that is broken off begins anew.
    world : World
        The processes of this training.
    """

    def __init__(
        self,
        config: DreSlclConfig,
        prepared: PreparedCohort,
        reporter: Reporter,
        *,
        is_kept: bool = True,
        world: World = SOLO,
    ) -> None:
        self.config = config = with_least_steps(config, prepared, reporter)
        self._prepared = prepared
        self._reporter = reporter
        self._is_kept = is_kept
        self._world = world
        self._method = make_method(config, prepared, world.device if world.size > 1 else None)
        # As make_method and Training number them.
        self._names = [prepared.cohort.rows[row].slide_id for row in prepared.rows("train")]
        self._present = list(range(len(self._names)))

    @property
    def net(self) -> DreSlclNet:
        """The network."""
        return self._method.net

    def try_out(self, run_dir: Path) -> None:
        """Probe tiles and a step first, where the settings ask for it."""
        if self.config.training.preflight:
            self.estimate(run_dir)

    def estimate(self, run_dir: Path) -> dict[str, float]:
        """Probe tiles and a step."""
        prepared, config = self._prepared, self.config
        with closing(prepared.loader(prepared.rows("train"), config)) as loader:
            self.config, figures = preflight(
                config, self._method, loader, prepared, run_dir, self._reporter
            )
        return figures

    def train(
        self,
        run_dir: Path,
        state: RunState,
        validate: ValidateNet | None,
        pinned: PinnedSlide | None = None,
    ) -> dict[str, str]:
        """Train from where the state stands; go on from its checkpoint where there is one."""
        method, config, world = self._method, self.config, self._world
        if world.size > 1:
            self._say_how_many()
            world.copy_from_main(method.net)
        if state.phase != "test" and self._is_kept:
            counts = self._prepared.tile_counts(self._prepared.rows("train"))
            owned = shard_ranges(counts, world.size)[world.rank]
            folder, dim = run_dir / BANK, method.net.encoder.dim
            method.bank = make_bank(config, self._prepared, dim, folder, owned, world)
        training = Training(
            config,
            method,
            self._prepared,
            self._reporter,
            state,
            run_dir,
            world,
            saves_checkpoints=self._is_kept,
            pinned=pinned,
        )
        with closing(training):
            if state.serial:
                training.restore()
            training.run(validate)
            self._present = training.lost.present()
            return training.lost.sentences()

    def _say_how_many(self) -> None:
        kind = "GPUs" if self._method.device.type == "cuda" else "processes of the CPU"
        self._reporter.log(f"The slides are shared out over {self._world.size} {kind}.")
        if normalises_by_batch(self._method.net.encoder):
            self._reporter.log(
                "The tile encoder normalises by batch, and each process by its own slides alone: "
                "results differ from those of one process.",
                "warning",
            )

    def fitted_on(self) -> dict[str, list[str]]:
        """Return the training slides, and those of them whose report was read."""
        reports, names = self._prepared.reports, self._names
        present = [names[position] for position in self._present]
        fitted = {"model": present, "codebook": present, "normalisation": present}
        if reports.size:
            reported = np.asarray(reports.any(axis=1)).tolist()
            is_tfidf = self.config.text.encoder == "tfidf-svd"
            fitted["TF-IDF" if is_tfidf else "report vectors"] = [
                name for name, is_there in zip(names, reported, strict=True) if is_there
            ]
        return fitted
