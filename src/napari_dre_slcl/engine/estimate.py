"""What a run will take, from its settings, its cohort and a probe: seconds, memory and disk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.probe import Probe
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.sampling import steps_per_epoch

__all__ = [
    "RESULT_BYTES_PER_TILE",
    "Workload",
    "bytes_figures",
    "disk_needed",
    "main_memory_needed",
    "seconds_figures",
    "seconds_to_go",
    "step_memory",
]

_MIB = 2**20
RESULT_BYTES_PER_TILE = 32
"""Of a slide's result: row, column and codeword as int64, attention and distance as float32."""
# Memory is copied page by page where a row of a mapped file changes.
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Workload:
    """How much there is to do.

    Parameters
    ----------
    train_tiles, val_tiles, test_tiles : int
        Of each split.
    fresh_tiles : float
        Of a step, on average.
    largest_step : int
        Most fresh tiles of a step.
    steps : int
        Of an epoch.
    cached_share : float
        Share of the training tiles that stay in memory once they were read.
    cache_bytes : int
        What these take.
    weight_bytes, trained_bytes : int
        Of all of the network, and of what is trained.
    """

    train_tiles: int
    val_tiles: int
    test_tiles: int
    fresh_tiles: float
    largest_step: int
    steps: int
    cached_share: float
    cache_bytes: int
    weight_bytes: int
    trained_bytes: int

    @classmethod
    def of(cls, config: DreSlclConfig, method: DreSlcl, prepared: PreparedCohort) -> Workload:
        """Count the work of a run."""
        settings, truth = config.training, method.truth
        splits = {name: prepared.tile_counts(prepared.rows(name)) for name in _SPLITS}
        train = splits["train"]
        steps = steps_per_epoch(
            truth.patients,
            truth.sites,
            settings.slides_per_batch,
            within_site=settings.within_site,
        )
        per_slide = [min(count, settings.fresh_tiles) for count in train]
        whole = sum(train) * _tile_bytes(config, prepared)
        cache = min(whole, settings.tile_cache_mib * _MIB)
        values = list(method.net.state_dict().values())
        parameters = [p for p in method.net.parameters() if p.requires_grad]
        return cls(
            train_tiles=sum(train),
            val_tiles=sum(splits["val"]),
            test_tiles=sum(splits["test"]),
            fresh_tiles=sum(per_slide) / steps,
            largest_step=sum(sorted(per_slide)[-settings.slides_per_batch :]),
            steps=steps,
            cached_share=cache / whole,
            cache_bytes=cache,
            weight_bytes=sum(value.numel() * value.element_size() for value in values),
            trained_bytes=sum(value.numel() * value.element_size() for value in parameters),
        )


_SPLITS = ("train", "val", "test")
_ONCE = ("pretraining", "filling the memory bank", "held-out slides")


def seconds_to_go(
    config: DreSlclConfig, work: Workload, probe: Probe, is_overlapped: bool
) -> dict[str, float]:
    """Return the seconds of each part of a run, none of 0.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    work : Workload
        What there is to do.
    probe : Probe
        How fast it is done.
    is_overlapped : bool
        Whether tiles are read while others are encoded at no cost to it, as beside a GPU. On a
        CPU both share the cores.
    """
    settings = config.training

    def seconds(tiles: float, per_s: float, read_share: float) -> float:
        reading, computing = tiles * read_share / probe.read_per_s, tiles / per_s
        return max(reading, computing) if is_overlapped else reading + computing

    again = 1 - work.cached_share
    refills = int(config.codebook.refit_after_epoch > 0)
    if settings.refill_every_epochs:
        refills = max(refills, settings.epochs // settings.refill_every_epochs)
    refreshed = work.train_tiles * settings.refresh_stalest * settings.epochs
    fresh = work.fresh_tiles * work.steps * settings.epochs
    # Both views of a tile go forward and backward.
    views = 2 * work.train_tiles * config.pretrain.epochs
    parts = {
        "pretraining": seconds(views, probe.step_per_s, 0.5),
        "filling the memory bank": seconds(work.train_tiles, probe.encode_per_s, 1),
        "steps": seconds(fresh, probe.step_per_s, again),
        "refreshing the bank": seconds(
            refills * work.train_tiles + refreshed, probe.encode_per_s, again
        ),
        "validation": seconds(work.val_tiles * settings.epochs, probe.encode_per_s, 1),
        "held-out slides": seconds(work.test_tiles, probe.encode_per_s, 1),
    }
    return {name: value for name, value in parts.items() if value}


def main_memory_needed(
    config: DreSlclConfig, method: DreSlcl, work: Workload, is_gpu: bool
) -> dict[str, int]:
    """Return the bytes of main memory that a run still takes, a step's inner values apart."""
    bank = method.bank.n_bytes
    if bank > config.training.bank_memory_mib * _MIB:
        # Read from its files; what changed since the last checkpoint is in memory.
        row = max(_PAGE, 2 * method.bank.dim)
        bank = min(bank, _changed_bytes(config, method, work, row))
    needed = {"memory bank": bank, "tile cache": work.cache_bytes}
    if not is_gpu:
        # The weights are there; gradients and AdamW's two moments are not, nor is the average.
        average = work.weight_bytes if config.training.ema else 0
        needed["network"] = 3 * work.trained_bytes + average
    return needed


def step_memory(work: Workload, probe: Probe, encode_chunk: int | None) -> int:
    """Return the bytes that a step's inner values take in main memory."""
    at_once = min(work.largest_step, encode_chunk or work.largest_step)
    return at_once * probe.kept_per_tile


def disk_needed(config: DreSlclConfig, method: DreSlcl, work: Workload) -> dict[str, int]:
    """Return the bytes that a run writes and keeps, at its fullest."""
    is_refilled = config.training.refill_every_epochs or config.codebook.refit_after_epoch
    average = work.weight_bytes if config.training.ema else 0
    best = work.weight_bytes if config.training.patience else 0
    delta = _changed_bytes(config, method, work, 2 * method.bank.dim)
    one = work.weight_bytes + 2 * work.trained_bytes + average + best + delta
    return {
        # A new bank is written beside the one it replaces, and so is a checkpoint.
        "memory bank": method.bank.n_bytes * (2 if is_refilled else 1),
        "checkpoints": 2 * one,
        "model and results": work.weight_bytes + work.test_tiles * RESULT_BYTES_PER_TILE,
    }


def seconds_figures(config: DreSlclConfig, parts: Mapping[str, float]) -> dict[str, float]:
    """Return ``seconds/epoch``, ``seconds/total`` and ``epochs``.

    Parameters
    ----------
    config : DreSlclConfig
        Number of epochs.
    parts : mapping of float
        As `seconds_to_go` returns them; what comes before and after the epochs is in the total.
    """
    epochs = config.training.epochs
    once = sum(parts.get(name, 0.0) for name in _ONCE)
    total = sum(parts.values())
    return {"seconds/epoch": (total - once) / epochs, "seconds/total": total, "epochs": epochs}


def bytes_figures(
    memory: Mapping[str, int], room: int | None, disk: Mapping[str, int], free: int
) -> dict[str, float]:
    """Return ``bytes/memory``, ``bytes/disk`` and what can be had of each, where it is known."""
    figures: dict[str, float] = {
        "bytes/memory": sum(memory.values()),
        "bytes/disk": sum(disk.values()),
        "bytes/disk_free": free,
    }
    return figures if room is None else figures | {"bytes/memory_free": room}


def _changed_bytes(config: DreSlclConfig, method: DreSlcl, work: Workload, row_bytes: int) -> int:
    """Return the most bytes of the bank that change between two checkpoints.

    All but the features, once the codewords are fitted; of the features, the rows of the steps.
    """
    refreshed = work.train_tiles * config.training.refresh_stalest
    stepped = config.training.checkpoint_steps * work.fresh_tiles
    rows = min(work.train_tiles, math.ceil(refreshed + stepped))
    features = 2 * method.bank.n_tiles * method.bank.dim
    return method.bank.n_bytes - features + rows * row_bytes


def _tile_bytes(config: DreSlclConfig, prepared: PreparedCohort) -> int:
    """Return the bytes of a tile in memory."""
    if prepared.feature_dim is not None:
        return 4 * prepared.feature_dim
    return 3 * config.encoder.input_px**2
