"""Network, bank and truth of a cohort, put together for the method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.never_negatives import never_negatives
from napari_dre_slcl.methods.slide_batch import SlideTruth, class_weights
from napari_dre_slcl.model.bank_team import ALONE, Team
from napari_dre_slcl.model.codebook import check_codebook_size, drawn_per_slide
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet

__all__ = ["make_bank", "make_method"]


def make_method(
    config: DreSlclConfig, prepared: PreparedCohort, device: torch.device | None = None
) -> DreSlcl:
    """Build the network and an empty bank in memory for a cohort.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    prepared : PreparedCohort
        Slides, labels and reports.
    device : torch.device, optional
        Where the network goes; as set by default.

    Raises
    ------
    ConfigError, ModelError
        If the settings do not fit the cohort or this machine.
    SlideError
        If features are to be standardised and no training slide can be read.
    """
    torch.manual_seed(config.training.seed)
    rows = prepared.rows("train")
    per_slide = drawn_per_slide(config.codebook.tiles_per_slide, len(rows))
    n_drawn = sum(min(count, per_slide) for count in prepared.tile_counts(rows))
    check_codebook_size(n_drawn, config.codebook.codewords)
    class_counts = [len(task.classes) for task in prepared.tasks]
    encoder = build_encoder(config, prepared.feature_dim)
    if isinstance(encoder, FeatureAdapter) and encoder.is_wide:
        encoder.standardise_by(_drawn_features(config, prepared, rows))
    net = DreSlclNet(config, class_counts, prepared.reports.shape[1], encoder)
    net.to(device or choose_device(config.training.device))
    bank = make_bank(config, prepared, net.encoder.dim)
    return DreSlcl(config, net, bank, _truth(config, prepared, rows))


def _drawn_features(
    config: DreSlclConfig, prepared: PreparedCohort, rows: Sequence[int]
) -> torch.Tensor:
    """Return stored features of training tiles, evenly spaced, as many of each slide at most.

    Slides that cannot be read are passed over here: training tells of them and goes on.
    """
    most = drawn_per_slide(config.codebook.tiles_per_slide, len(rows))
    drawn = []
    with prepared.loader(rows, config) as loader:
        for slide, count in enumerate(prepared.tile_counts(rows)):
            tiles = np.unique(np.linspace(0, count - 1, most).astype(np.int64))
            try:
                drawn.append(loader.load([(slide, tiles)]))
            except SlideError as error:
                reason = error
    if not drawn:
        raise reason
    return torch.from_numpy(np.concatenate(drawn))


def make_bank(
    config: DreSlclConfig,
    prepared: PreparedCohort,
    dim: int,
    folder: Path | None = None,
    owned: range | None = None,
    team: Team = ALONE,
) -> MemoryBank:
    """Make the bank of a cohort's training slides, or open the one in a folder.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    prepared : PreparedCohort
        The cohort.
    dim : int
        Width of a feature.
    folder : Path, optional
        Of its files.
    owned : range, optional
        Training slides of this process; all by default.
    team : Team
        The processes that own the others.

    Raises
    ------
    JobError
        If the folder holds another bank.
    """
    return MemoryBank(
        prepared.tile_counts(prepared.rows("train")),
        dim,
        config.codebook.codewords,
        folder=folder,
        memory_mib=config.training.bank_memory_mib,
        momentum=config.training.bank_momentum,
        owned=owned,
        team=team,
    )


def _truth(config: DreSlclConfig, prepared: PreparedCohort, rows: Sequence[int]) -> SlideTruth:
    labels = prepared.labels[rows]
    chosen = [prepared.cohort.rows[row] for row in rows]
    patients = tuple(row.patient_id for row in chosen)
    sites = tuple(row.site for row in chosen)
    return SlideTruth(
        labels=torch.from_numpy(labels),
        class_weights=tuple(
            class_weights(
                labels[:, column].tolist(), len(task.classes), config.loss.balance_classes
            )
            for column, task in enumerate(prepared.tasks)
        ),
        task_names=tuple(task.name for task in prepared.tasks),
        reports=torch.from_numpy(prepared.reports),
        # A report without a known word has no direction, so it cannot be contrasted with.
        has_report=torch.from_numpy(np.linalg.norm(prepared.reports, axis=1) > 0),
        is_same=never_negatives(
            patients,
            [row.report for row in chosen],
            sites,
            vectors=torch.from_numpy(prepared.reports),
            within_site=config.training.within_site,
        ),
        patients=patients,
        sites=sites,
    )
