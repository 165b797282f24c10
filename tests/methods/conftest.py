"""Fixtures for the methods: small networks with small banks, in floats or in doubles."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.never_negatives import never_negatives
from napari_dre_slcl.methods.slide_batch import SlideBatch, SlideTruth
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.model.seeds import seeded

PX = 32


def _config(**changes: object) -> DreSlclConfig:
    settings = {
        "encoder.name": "test_vit",
        "encoder.input_px": PX,
        "codebook.codewords": 4,
        "residual.weighting": "uniform",
        "residual.global_token": False,
        "training.fresh_tiles": 3,
        "training.epochs": 2,
        "training.augment": False,
        "training.bank_tiles": None,
    }
    return with_overrides(load_preset("cpu-small"), settings | changes)


def _pixels(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 64, (n, PX, PX, 3), generator=generator)
    tint = torch.randint(0, 192, (n, 1, 1, 3), generator=generator)
    return (noise + tint).to(torch.uint8)


def _truth(n: int) -> SlideTruth:
    return SlideTruth(
        labels=torch.stack([torch.arange(n) % 2, torch.arange(n) // 2 % 2], dim=1),
        class_weights=(torch.ones(2), torch.ones(2)),
        task_names=("subtype", "mutation"),
        reports=torch.nn.functional.normalize(torch.randn(n, 8), dim=1),
        has_report=torch.ones(n, dtype=torch.bool),
        is_same=never_negatives([str(slide) for slide in range(n)]),
    )


def _method(config: DreSlclConfig, counts: tuple[int, ...], **bank: object) -> DreSlcl:
    torch.manual_seed(config.training.seed)
    net = DreSlclNet(config, [2, 2], 8)
    rows = MemoryBank(counts, net.encoder.dim, config.codebook.codewords, **bank)
    method = DreSlcl(config, net, rows, _truth(len(counts)))
    for slide, count in enumerate(counts):
        method.bank.fill(slide, torch.arange(count), method.encode_tiles(_pixels(count, slide)))
    method.bank.commit_generation()
    method.fit_codewords()
    return method


def _batch(method: DreSlcl, slides: tuple[int, ...], n_fresh: int = 3, step: int = 0) -> SlideBatch:
    fresh = tuple(
        torch.randperm(method.bank.tile_count(slide), generator=seeded(0, step, slide))[:n_fresh]
        for slide in slides
    )
    tiles = [
        _pixels(method.bank.tile_count(slide), slide)[drawn]
        for slide, drawn in zip(slides, fresh, strict=True)
    ]
    return SlideBatch(slides, fresh, torch.cat(tiles))


def _step(method: DreSlcl, batch: SlideBatch, step: int = 0) -> dict[str, torch.Tensor]:
    """Take one step as the engine does, without its schedule and clipping."""
    method.net.train()
    features = method.net.encoder(method.inputs(batch, step))
    losses = method.loss(batch, features, step)
    method.net.zero_grad()
    losses["loss"].backward()
    torch.optim.AdamW(method.parameter_groups()).step()
    method.refresh(batch, features, step)
    return {name: value.detach() for name, value in losses.items()}


def _double(config: DreSlclConfig, counts: tuple[int, ...]) -> DreSlcl:
    """A method that computes in doubles from beginning to end, its bank filled at random."""
    torch.manual_seed(config.training.seed)
    net = DreSlclNet(config, [2, 2], 8).double()
    bank = MemoryBank(counts, net.encoder.dim, config.codebook.codewords, dtype=torch.float64)
    method = DreSlcl(config, net, bank, _truth(len(counts)))
    for slide, count in enumerate(counts):
        tiles = torch.randn(count, net.encoder.dim, generator=seeded(1, slide)).double()
        bank.fill(slide, torch.arange(count), tiles)
    bank.commit_generation()
    method.fit_codewords()
    return method


@pytest.fixture(scope="session")
def lab() -> SimpleNamespace:
    """Return what makes settings, methods, batches and steps."""
    return SimpleNamespace(
        config=_config,
        pixels=_pixels,
        truth=_truth,
        method=_method,
        double=_double,
        batch=_batch,
        step=_step,
    )
