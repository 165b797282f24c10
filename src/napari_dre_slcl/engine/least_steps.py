"""How many passes a small cohort takes, so that it is trained for long enough."""

from __future__ import annotations

import math

from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.methods.sampling import steps_per_epoch

__all__ = ["with_least_steps"]


def with_least_steps(
    config: DreSlclConfig, prepared: PreparedCohort, reporter: Reporter
) -> DreSlclConfig:
    """Return settings with as many epochs as ``training.least_steps`` asks for.

    Parameters
    ----------
    config : DreSlclConfig
        Settings.
    prepared : PreparedCohort
        The training slides count.
    reporter : Reporter
        Told where epochs are added.
    """
    settings = config.training
    train = [prepared.cohort.rows[row] for row in prepared.rows("train")]
    per_epoch = steps_per_epoch(
        [row.patient_id for row in train],
        [row.site for row in train],
        settings.slides_per_batch,
        within_site=settings.within_site,
    )
    needed = math.ceil(settings.least_steps / per_epoch)
    if needed <= settings.epochs:
        return config
    reporter.log(
        f"{len(train)} training slides take {needed} epochs instead of {settings.epochs}, for "
        f"{settings.least_steps} steps (training.least_steps)."
    )
    return with_overrides(config, {"training.epochs": needed})
