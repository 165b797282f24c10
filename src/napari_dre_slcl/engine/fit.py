"""The training loop: fill the bank, fit the codewords, take steps, say how it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.damage import damage_warning
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.methods.dre_slcl import (
    DreSlcl,
    SlideBatch,
    SlideTruth,
    class_weights,
    steps_per_epoch,
)
from napari_dre_slcl.model.codebook import check_codebook_size
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.tiles import TileLoader

__all__ = ["fill_bank", "fit", "make_method"]

_FILL_CHUNK = 256
Validate = Callable[[DreSlclNet], dict[str, float]]


@dataclass(frozen=True, slots=True)
class _Draw:
    """The random choices of one step, made before its pixels are read."""

    slides: tuple[int, ...]
    fresh: tuple[torch.Tensor, ...]


def fit(
    config: DreSlclConfig,
    method: DreSlcl,
    prepared: PreparedCohort,
    reporter: Reporter,
    validate: Validate | None = None,
) -> DreSlclNet:
    """Train a network end to end on the training slides.

    Parameters
    ----------
    config : DreSlclConfig
        Settings; the same seed gives the same network on the CPU, bit for bit.
    method : DreSlcl
        As `make_method` makes it.
    prepared : PreparedCohort
        Slides, labels and reports.
    reporter : Reporter
        Gets the progress and one Metric per epoch; may stop the run.
    validate : callable, optional
        Called after each epoch; what it returns joins the epoch's Metric.

    Returns
    -------
    DreSlclNet
        On its device.
    """
    rows = prepared.rows("train")
    settings = config.training
    loader = TileLoader(
        [prepared.sources[row] for row in rows],
        config.encoder.input_px,
        cache_mib=settings.tile_cache_mib,
        workers=settings.workers,
    )
    with closing(loader):
        fill_bank(method, loader, reporter, "Filling the memory bank")
        method.fit_codewords()
        for epoch in range(1, settings.epochs + 1):
            losses = _run_epoch(method, loader, reporter, epoch, settings.epochs)
            is_refit = epoch == config.codebook.refit_after_epoch
            if is_refit or _is_due(epoch, settings.refill_every_epochs):
                fill_bank(method, loader, reporter, "Refreshing the memory bank")
            if is_refit:
                method.fit_codewords()
            reporter.metric(epoch, losses | (validate(method.net) if validate else {}))
    method.net.eval()
    return method.net


def fill_bank(method: DreSlcl, loader: TileLoader, reporter: Reporter, stage: str) -> None:
    """Encode every tile once, without gradient, store its feature, and tell of damaged tiles."""
    chunks = [
        (slide, tiles)
        for slide in range(len(method.bank))
        for tiles in torch.split(torch.arange(method.bank.tile_count(slide)), _FILL_CHUNK)
    ]
    requests = ([(slide, tiles.numpy())] for slide, tiles in chunks)
    with closing(loader.prefetch(requests)) as batches:
        for number, ((slide, tiles), pixels) in enumerate(zip(chunks, batches, strict=True)):
            reporter.progress(stage, number, len(chunks))
            features = method.encode_tiles(torch.from_numpy(pixels))
            method.bank.write(slide, tiles, features, has_momentum=False)
    reporter.progress(stage, len(chunks), len(chunks))
    for slide, damaged in loader.damaged.items():
        source = loader.sources[slide]
        reporter.warn_once(damage_warning(source.slide.name, len(damaged), len(source.grid)))


def make_method(config: DreSlclConfig, prepared: PreparedCohort) -> DreSlcl:
    """Build the network, the empty bank and the optimiser for a cohort.

    Raises
    ------
    ConfigError, ModelError
        If the settings do not fit the cohort or this machine.
    """
    torch.manual_seed(config.training.seed)
    rows = prepared.rows("train")
    n_drawn = sum(
        min(len(prepared.sources[row].grid), config.codebook.tiles_per_slide) for row in rows
    )
    check_codebook_size(n_drawn, config.codebook.codewords)
    text_dim = prepared.reports.shape[1]
    class_counts = [len(task.classes) for task in prepared.tasks]
    net = DreSlclNet(config, class_counts, text_dim).to(choose_device(config.training.device))
    bank = MemoryBank(
        [len(prepared.sources[row].grid) for row in rows],
        net.encoder.dim,
        config.training.bank_momentum,
    )
    n_steps = config.training.epochs * steps_per_epoch(len(rows), config.training.slides_per_batch)
    return DreSlcl(config, net, bank, _truth(config, prepared, rows), n_steps)


def _truth(config: DreSlclConfig, prepared: PreparedCohort, rows: Sequence[int]) -> SlideTruth:
    labels = prepared.labels[rows]
    reports = np.array([prepared.cohort.rows[row].report for row in rows])
    patients = prepared.cohort.patients()[rows]
    is_same = _equal_pairs(patients) | _equal_pairs(reports)
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
        is_same=torch.from_numpy(is_same),
    )


def _equal_pairs(values: NDArray[np.str_]) -> NDArray[np.bool_]:
    return np.asarray(values[:, None] == values[None, :], dtype=bool)


def _run_epoch(
    method: DreSlcl, loader: TileLoader, reporter: Reporter, epoch: int, n_epochs: int
) -> dict[str, float]:
    draws = [
        _Draw(slides, tuple(method.draw_fresh(slide) for slide in slides))
        for slides in method.draw_batches()
    ]
    history: list[dict[str, float]] = []
    with closing(loader.prefetch(_requests(draws))) as batches:
        for number, (draw, pixels) in enumerate(zip(draws, batches, strict=True)):
            done = (epoch - 1) * len(draws) + number
            reporter.progress("Training", done, n_epochs * len(draws), f"epoch {epoch}/{n_epochs}")
            batch = SlideBatch(draw.slides, draw.fresh, torch.from_numpy(pixels))
            history.append(method.step(batch))
    reporter.progress(
        "Training", epoch * len(draws), n_epochs * len(draws), f"epoch {epoch}/{n_epochs}"
    )
    names = {name: None for losses in history for name in losses}
    return {
        name: float(np.mean([losses[name] for losses in history if name in losses]))
        for name in names
    }


def _requests(draws: Sequence[_Draw]) -> Iterator[list[tuple[int, NDArray[np.int64]]]]:
    for draw in draws:
        yield [(slide, fresh.numpy()) for slide, fresh in zip(draw.slides, draw.fresh, strict=True)]


def _is_due(epoch: int, every: int) -> bool:
    return every > 0 and epoch % every == 0
