"""Where a run stands: everything of a checkpoint that is no tensor, as one JSON file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["BestEpoch", "LostSlide", "RunIdentity", "RunState"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")


class RunIdentity(_Record):
    """Hashes of what a run was started with; a checkpoint fits to no other.

    Parameters
    ----------
    config, job, cohort : str
        SHA-256 of ``config.toml``, ``job.json`` and the cohort table.
    slides : str
        SHA-256 of the slides' names, splits and tiles.
    """

    config: str
    job: str
    cohort: str
    slides: str


class LostSlide(_Record):
    """A training slide that could no longer be read.

    Parameters
    ----------
    epoch : int
        In which it was lost; 0 in the first pass.
    sentence : str
        What was wrong with it.
    """

    epoch: int
    sentence: str


class BestEpoch(_Record):
    """The epoch with the best validation so far."""

    epoch: int
    score: float


class RunState(_Record):
    """The position of a run; changed in place as it goes on.

    Parameters
    ----------
    identity : RunIdentity, optional
        What the run was started with; none without a run folder.
    version : str
        Of this package.
    serial : int
        Number of the checkpoint; the highest is the newest.
    phase : str
        ``pretrain``, ``fill``, ``train`` or ``test``.
    pretrain_epoch, pretrain_position, pretrain_step : int
        As the three below, of the pretraining.
    epoch : int
        The one under way, from 1.
    position : int
        Batches of it that are done.
    turn : list of str
        What is done of the work between this epoch and the next.
    step : int
        Optimiser steps so far.
    totals : dict
        Sum and number of each loss of this epoch.
    epoch_step : int
        Steps at the start of this epoch.
    seconds : dict
        Time of each phase in this epoch.
    found : dict
        What the turn of this epoch has measured.
    best : BestEpoch, optional
        Where validation decides.
    lost : dict
        Training slides that could not be read, by their position.
    damaged : dict
        Numbers of their tiles that could not be decoded in the first pass, by position.
    skipped : dict
        Other slides that could not be read, by name.
    fresh_tiles : int
        Per slide and step; 0 for as many as set.
    """

    identity: RunIdentity | None = None
    version: str = ""
    serial: int = 0
    phase: Literal["pretrain", "fill", "train", "test"] = "pretrain"
    pretrain_epoch: int = 1
    pretrain_position: int = 0
    pretrain_step: int = 0
    epoch: int = 1
    position: int = 0
    turn: list[str] = Field(default_factory=list)
    step: int = 0
    totals: dict[str, tuple[float, int]] = Field(default_factory=dict)
    epoch_step: int = 0
    seconds: dict[str, float] = Field(default_factory=dict)
    found: dict[str, float] = Field(default_factory=dict)
    best: BestEpoch | None = None
    lost: dict[int, LostSlide] = Field(default_factory=dict)
    damaged: dict[int, tuple[int, ...]] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    fresh_tiles: int = 0

    def add_losses(self, losses: dict[str, float]) -> None:
        """Count the losses of one step into this epoch's means."""
        for name, value in losses.items():
            total, count = self.totals.get(name, (0.0, 0))
            self.totals[name] = (total + value, count + 1)

    def mean_losses(self) -> dict[str, float]:
        """Return this epoch's mean losses."""
        return {name: total / count for name, (total, count) in self.totals.items()}

    def begin_epoch(self) -> None:
        """Step on to the next epoch."""
        self.epoch += 1
        self.position = 0
        self.epoch_step = self.step
        self.turn, self.totals, self.seconds, self.found = [], {}, {}, {}
