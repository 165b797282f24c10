"""The running centre in a training run: set before the first fill, moved by steps, kept."""

from __future__ import annotations

from collections.abc import Callable

import torch

from napari_dre_slcl.engine.train import run_train
from napari_dre_slcl.jobs.messages import Metric, Result, TrainJob
from napari_dre_slcl.model.bundle import load_bundle


def test_a_running_centre_is_set_moved_and_kept(train_job: Callable[..., TrainJob]) -> None:
    # At such rates the encoder stands still, so that only the centre moves.
    options = {
        "encoder.centre": "running",
        "training.epochs": 2,
        "codebook.refit_after_epoch": 0,
        "training.lr_encoder": 1e-12,
        "training.weight_decay": 0.0,
        "training.augment": False,
    }
    nets, drifts = [], []
    for name in ("one", "two"):
        events: list = []
        end = run_train(train_job(name, **options), events.append, lambda: False)
        assert isinstance(end, Result)
        nets.append(load_bundle(train_job(name).run_dir).net)
        drifts += [event.values["drift"] for event in events if isinstance(event, Metric)]
    centre = nets[0].encoder.centre
    steps = 2 * 2
    assert int(centre.n_updates) == 1 + steps
    assert centre.mean.abs().sum() > 0
    assert torch.equal(centre.mean, nets[1].encoder.centre.mean)
    # The centre was right from the start: features stay near those that filled the bank.
    assert min(drifts) > 0.9
