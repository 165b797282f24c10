"""The pinned slide of a training: its result is written anew after each epoch, to be looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.predict_source import predict_encoded, predict_source
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.nets import TrainedNet
from napari_dre_slcl.results import RESULT_SUFFIX, SlideResult, save_result

__all__ = ["PinnedSlide"]


class PinnedSlide:
    """One slide of the cohort that somebody looks at while the training goes on.

    Parameters
    ----------
    slide_id : str
        Its name in the cohort table.
    prepared : PreparedCohort
        All slides.
    config : DreSlclConfig
        Settings of the run.
    run_dir : Path
        Gets ``pinned.dreslcl.npz``.
    reporter : Reporter
        Told of each result; a failure is told once and stops nothing.

    Raises
    ------
    JobError
        If the cohort has no such slide, or it was left out.
    """

    def __init__(
        self,
        slide_id: str,
        prepared: PreparedCohort,
        config: DreSlclConfig,
        run_dir: Path,
        reporter: Reporter,
    ) -> None:
        names = [row.slide_id for row in prepared.cohort.rows]
        if slide_id in prepared.left_out:
            raise JobError(
                f"The pinned slide '{slide_id}' takes no part. "
                f"{prepared.left_out[slide_id].reason} Pin another, or none."
            )
        if slide_id not in names:
            raise JobError(
                f"The pinned slide '{slide_id}' is not in the cohort '{prepared.cohort.table}'. "
                "Give one of its slide_ids, or pin none."
            )
        self._row = names.index(slide_id)
        self._slide_id = slide_id
        self._prepared = prepared
        self._config = config
        self._reporter = reporter
        self.path = run_dir / f"pinned{RESULT_SUFFIX}"

    @property
    def position(self) -> int | None:
        """Its number among the training slides; None where it is held out."""
        rows = self._prepared.rows("train")
        return rows.index(self._row) if self._row in rows else None

    def write(
        self,
        net: TrainedNet,
        epoch: int,
        epochs: int,
        bank: MemoryBank | None = None,
        step: int = 0,
    ) -> None:
        """Predict the slide with the network as it is, and tell where the result lies.

        Parameters
        ----------
        net : SlideNet
            As it is after this epoch.
        epoch, epochs : int
            How far the training has come.
        bank : MemoryBank, optional
            Where its tiles are encoded already, those of other processes as of the last
            checkpoint; a slide that is held out is encoded for it.
        step : int
            Of the training, for the age of the bank's features.
        """
        try:
            result = self._predict(net, bank, step)
            result.provenance["training"] = f"epoch {epoch} of {epochs}"
            save_result(result, self.path)
        except DreSlclError as error:
            self._reporter.warn_once(f"The pinned slide cannot be shown: {error}")
            return
        self._reporter.snapshot(epoch, self.path)

    def _predict(self, net: TrainedNet, bank: MemoryBank | None, step: int) -> SlideResult:
        prepared, position = self._prepared, self.position
        bundle = Bundle(net, self._config, prepared.tasks, prepared.reports.shape[1])
        source = prepared.sources[self._row]
        if bank is None or position is None:
            return predict_source(
                bundle, source, self._slide_id, keep_features=False, memory=prepared.memory
            )
        features = bank.features_of_any(position, torch.arange(bank.tile_count(position)))
        result = predict_encoded(bundle, source, self._slide_id, features, is_asked=False)
        if not len(result.rowcol):
            return result
        ages = bank.ages_of_any(position, step).to(torch.int64)
        return replace(result, freshness=ages.numpy())
