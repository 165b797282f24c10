"""Train a network on bags of features and hand it back: no run folder, no test, no checkpoint."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.bags_in_memory import LabelledBags, prepare_bags
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.train import make_run
from napari_dre_slcl.model.bundle import Bundle

__all__ = ["FittedBags", "fit_bags"]


@dataclass(frozen=True, slots=True, eq=False)
class FittedBags:
    """What training has made.

    Parameters
    ----------
    bundle : Bundle
        The network on the CPU, in evaluation mode, with all that saving it needs.
    lost : dict of str
        Feature files that could not be read, each with the reason.
    """

    bundle: Bundle
    lost: Mapping[str, str] = field(default_factory=dict)


def fit_bags(data: LabelledBags, config: DreSlclConfig, reporter: Reporter) -> FittedBags:
    """Train the method of the settings, as `run_train` does.

    torch's own random state is left as it was found.

    Parameters
    ----------
    data : LabelledBags
        Training slides.
    config : DreSlclConfig
        Settings; ``cohort.tasks`` names the task.
    reporter : Reporter
        Told everything; raises `Stopped` where the user wants it.

    Raises
    ------
    DreSlclError
        If the settings do not fit the bags, or training cannot go on.
    """
    with torch.random.fork_rng(devices=[]):
        prepared = prepare_bags(data, config, reporter)
        run = make_run(config, prepared, reporter, is_cell=True)
        with tempfile.TemporaryDirectory(prefix="dre-slcl-fit-") as folder:
            lost = run.train(Path(folder), RunState(), None)
    net = run.net.to("cpu")
    net.eval()
    bundle = Bundle(
        net,
        run.config,
        prepared.tasks,
        prepared.reports.shape[1],
        report_model=prepared.report_model,
    )
    return FittedBags(bundle, lost)
