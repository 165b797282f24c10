"""The running centre in a training run: set before the first fill, moved by steps, kept."""

from __future__ import annotations

from collections.abc import Callable

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
    events: list = []
    job = train_job(**options)
    assert isinstance(run_train(job, events.append, lambda: False), Result)
    centre = load_bundle(job.run_dir).net.encoder.centre
    assert int(centre.n_updates) == 1 + 2 * 2  # two epochs of two steps
    assert centre.mean.abs().sum() > 0
    # The centre was right from the start: features stay near those that filled the bank.
    drifts = [event.values["drift"] for event in events if isinstance(event, Metric)]
    assert min(drifts) > 0.9
