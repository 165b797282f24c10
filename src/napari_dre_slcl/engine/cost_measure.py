"""Measures what the cost model needs of this machine: a few small trainings, and the fit."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.cost_cohort import make_cohort
from napari_dre_slcl.engine.cost_fit import Fitted, Measured, by_component, fit
from napari_dre_slcl.engine.cost_scale import NetworkSize, Scale
from napari_dre_slcl.engine.cost_trial import run_trial
from napari_dre_slcl.jobs.messages import TrainJob
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.network import DreSlclNet

__all__ = [
    "TRIALS",
    "Subject",
    "Trial",
    "least",
    "measure_costs",
    "measure_trial",
    "network_size",
]

_EPOCHS = 3
_CLASSES = 4
"""Of the two tasks of a made-up cohort."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured.

    Parameters
    ----------
    preset : str
        Settings to start from.
    overrides : dict
        Settings that are changed.
    feature_dim : int or None
        Width of stored features; None for pixels.
    clock : str
        ``wall`` or ``processor``, as `cost_trial.run_trial` takes it.
    """

    preset: str
    overrides: dict[str, Any]
    feature_dim: int | None = None
    clock: str = "wall"

    def config(self) -> DreSlclConfig:
        """Return the settings."""
        return with_overrides(load_preset(self.preset), self.overrides)


@dataclass(frozen=True, slots=True)
class Trial:
    """How large a training that is measured is.

    Parameters
    ----------
    slides, tiles : int
        Of the cohort, and of a slide.
    batch, fresh : float
        Share of the settings' slides per batch and fresh tiles.
    ranks : int
        Processes; the first one, which has most to do, is measured.
    """

    slides: int
    tiles: int
    batch: float = 1.0
    fresh: float = 1.0
    ranks: int = 1


# Each differs from the first in one thing.
TRIALS = {
    "pixels": (
        Trial(20, 40),
        Trial(20, 160),
        Trial(50, 40),
        Trial(20, 40, batch=0.25),
        Trial(20, 40, fresh=0.25),
        Trial(20, 40, ranks=2),
    ),
    "features": (
        Trial(40, 400),
        Trial(40, 8000),
        Trial(200, 400),
        Trial(200, 400, batch=0.25),
        Trial(200, 400, fresh=0.25),
        Trial(200, 400, ranks=2),
    ),
}
"""What is measured to find the constants, by the source of the tiles."""


def measure_costs(
    subject: Subject,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    trials: Sequence[Trial] | None = None,
) -> tuple[Fitted, list[Measured]]:
    """Run small trainings and find the constants of the cost model.

    Parameters
    ----------
    subject : Subject
        Settings and clock.
    on_progress : callable
        Told how many trainings are done, and how many there are.
    trials : sequence of Trial, optional
        Their sizes; those of `TRIALS` by default.

    Raises
    ------
    DreSlclError
        If a training fails.
    """
    chosen = trials or _possible(TRIALS["pixels" if subject.feature_dim is None else "features"])
    measured = []
    for number, trial in enumerate(chosen):
        on_progress(number, len(chosen))
        measured.append(measure_trial(subject, trial))
    on_progress(len(chosen), len(chosen))
    return fit(measured), measured


def _possible(trials: Sequence[Trial]) -> list[Trial]:
    """Leave out what takes more GPUs than there are; processes that meet are free of time then."""
    gpus = torch.cuda.device_count()
    return [trial for trial in trials if not gpus or trial.ranks <= gpus]


def measure_trial(subject: Subject, trial: Trial) -> Measured:
    """Run a training of made-up slides, in a process of its own.

    Raises
    ------
    DreSlclError
        If it fails.
    """
    config = subject.config()
    overrides = subject.overrides | {
        "training.epochs": _EPOCHS,
        "training.preflight": False,
        "training.devices": trial.ranks,
        "training.slides_per_batch": _part(config.training.slides_per_batch, trial.batch),
        "training.fresh_tiles": _part(config.training.fresh_tiles, trial.fresh),
        "codebook.refit_after_epoch": 0,
    }
    folder = Path(tempfile.mkdtemp(prefix="dre-slcl-plan-"))
    try:
        made = make_cohort(
            folder / "cohort", trial.slides, trial.tiles, config, subject.feature_dim
        )
        if made.features is not None:
            overrides["features.folder"] = str(made.features)
        job = TrainJob(
            cohort=made.table, run_dir=folder / "run", preset=subject.preset, overrides=overrides
        )
        trace = run_trial(job, subject.clock, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    train, val, test = (len(made.tiles[split]) for split in ("train", "val", "test"))
    network = network_size(config, subject.feature_dim, _CLASSES, train)
    mean_tiles = sum(map(sum, made.tiles.values())) / trial.slides
    changed = with_overrides(config, overrides)
    scale = Scale.of(changed, (train, val, test), mean_tiles, network, trial.ranks)
    return Measured(scale, by_component(trace), trace.peak_bytes)


def least(repeats: Sequence[Measured]) -> Measured:
    """Return the least that one training took of several times that it was run.

    Others at work on the machine only ever make it slower.

    Parameters
    ----------
    repeats : sequence of Measured
        Of the same scale.
    """
    names = dict.fromkeys(name for one in repeats for name in one.seconds)
    return Measured(
        repeats[0].scale,
        {name: min(one.seconds.get(name, 0.0) for one in repeats) for name in names},
        min(one.peak_bytes for one in repeats),
    )


def network_size(
    config: DreSlclConfig, feature_dim: int | None, classes: int, reports: int
) -> NetworkSize:
    """Build the network that settings ask for, and return its size.

    Parameters
    ----------
    config : DreSlclConfig
        The settings; no weights are read.
    feature_dim : int or None
        Width of stored features, where they take the place of pixels.
    classes : int
        Outputs of all task heads together.
    reports : int
        Number of training reports, which bounds the width of TF-IDF vectors; 0 without.
    """
    encoder = config.encoder.model_copy(update={"weights": None})
    config = config.model_copy(update={"encoder": encoder})
    text_dim = min(config.text.dim, reports) if config.loss.contrastive_weight else 0
    net = DreSlclNet(config, [classes], text_dim, build_encoder(config, feature_dim))
    values = list(net.state_dict().values())
    trained = [value for value in net.parameters() if value.requires_grad]
    return NetworkSize(
        dim=int(net.encoder.dim),
        stored_dim=feature_dim or 0,
        text_dim=text_dim,
        classes=classes,
        weight_bytes=sum(value.numel() * value.element_size() for value in values),
        trained_bytes=sum(value.numel() * value.element_size() for value in trained),
    )


def _part(whole: int, share: float) -> int:
    return max(1, math.ceil(whole * share))
