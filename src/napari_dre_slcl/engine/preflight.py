"""Before a run: try this machine, say what the run will take, refuse what cannot fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.engine.amounts import bytes_text, duration_text
from napari_dre_slcl.engine.disk import free_on_disk
from napari_dre_slcl.engine.estimate import (
    Workload,
    bytes_figures,
    disk_needed,
    main_memory_needed,
    seconds_figures,
    seconds_to_go,
    step_memory,
)
from napari_dre_slcl.engine.feature_source import FeatureLoader
from napari_dre_slcl.engine.memory import available_memory
from napari_dre_slcl.engine.picks import SWITCH_OFF, chunk_that_fits, readers_that_keep_up
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.probe import Probe, measure
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.model.encoders import normalises_by_batch
from napari_dre_slcl.tiles import TileLoader

__all__ = ["preflight"]

# Parts under this share of a sum are not named.
_SHOWN = 0.01


def preflight(
    config: DreSlclConfig,
    method: DreSlcl,
    loader: TileLoader | FeatureLoader,
    prepared: PreparedCohort,
    run_dir: Path,
    reporter: Reporter,
) -> tuple[DreSlclConfig, dict[str, float]]:
    """Probe some tiles and a step, and say how long a run takes and what it needs.

    Nothing of the probe stays: weights, bank and random state are as they were.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    method : DreSlcl
        Network on its device, and a bank that need not be filled.
    loader : TileLoader or FeatureLoader
        Of the training slides, in the order of the bank.
    prepared : PreparedCohort
        Slides of all splits.
    run_dir : Path
        Where the run will be; need not exist.
    reporter : Reporter
        Told all of it, in sentences.

    Returns
    -------
    DreSlclConfig
        The settings to go on with: ``training.workers`` and ``training.encode_chunk`` may have
        been picked. Neither changes what a step computes beyond rounding, unless the encoder
        normalises by batch.
    dict of float
        The same figures for programs, by the names that `_figures` gives them.

    Raises
    ------
    JobError, SlideError
        If disk, memory or GPU memory cannot hold the run, or no tile can be read.
    """
    has_gpu = method.device.type != "cpu"
    work = Workload.of(config, method, prepared)
    disk, free = disk_needed(config, method, work), free_on_disk(run_dir)
    memory, room = main_memory_needed(config, method, work, has_gpu), available_memory()
    _refuse_what_cannot_fit(disk, free, run_dir, memory, room)
    probe = measure(config, method, loader, reporter)
    chunk = chunk_that_fits(work, probe, None if room is None else room - sum(memory.values()))
    readers = (
        readers_that_keep_up(config, probe) if has_gpu and isinstance(loader, TileLoader) else None
    )
    memory["a step"] = step_memory(work, probe, chunk)
    _say_time(config, work, probe, has_gpu, reporter)
    _say_memory(memory, room, method.device, probe, reporter)
    reporter.log(f"Disk: {_about(_sum_text(disk))}; {bytes_text(free)} free at '{run_dir}'.")
    picked = {"training.encode_chunk": chunk} | ({"training.workers": readers} if readers else {})
    _say_picked(config, method, work, chunk, readers, reporter)
    parts = seconds_to_go(config, work, probe, is_overlapped=has_gpu)
    figures = seconds_figures(config, parts) | bytes_figures(memory, room, disk, free)
    return with_overrides(config, picked), figures | _figures(work, prepared, method.device, probe)


def _refuse_what_cannot_fit(
    disk: Mapping[str, int],
    free: int,
    run_dir: Path,
    memory: Mapping[str, int],
    room: int | None,
) -> None:
    _refuse_without_disk(disk, free, run_dir)
    _refuse_without_memory(memory, room)


def _figures(
    work: Workload, prepared: PreparedCohort, device: torch.device, probe: Probe
) -> dict[str, float]:
    """Return how much is trained on, and ``bytes/gpu`` and ``bytes/gpu_total`` with a GPU.

    Beside them stand ``seconds/epoch``, ``seconds/total`` and ``epochs``, ``bytes/memory`` and what
    can be had of it (``bytes/memory_free``, where known), ``bytes/disk`` and ``bytes/disk_free``.
    """
    return {
        **_gpu_figures(device, probe),
        "tiles/train": float(work.train_tiles),
        "slides/train": float(len(prepared.rows("train"))),
    }


def _gpu_figures(device: torch.device, probe: Probe) -> dict[str, float]:
    if device.type != "cuda":
        return {}
    whole = torch.cuda.get_device_properties(device).total_memory
    return {"bytes/gpu": float(probe.gpu_peak), "bytes/gpu_total": float(whole)}


def _refuse_without_disk(needed: Mapping[str, int], free: int, run_dir: Path) -> None:
    if sum(needed.values()) > free:
        raise JobError(
            f"The disk of the run folder '{run_dir}' has {bytes_text(free)} free, but training "
            f"writes about {_sum_text(needed)}. Free some or choose another folder; {SWITCH_OFF}"
        )


def _refuse_without_memory(needed: Mapping[str, int], room: int | None) -> None:
    if room is not None and sum(needed.values()) > room:
        raise JobError(
            f"Training takes about {_sum_text(needed)} of memory, but {bytes_text(room)} can be "
            f"had. Lower training.tile_cache_mib or training.bank_memory_mib; {SWITCH_OFF}"
        )


def _say_time(
    config: DreSlclConfig, work: Workload, probe: Probe, has_gpu: bool, reporter: Reporter
) -> None:
    reporter.log(
        f"Pre-flight on {probe.tiles:,} tiles: {_rate(probe.read_per_s)} are read, "
        f"{_rate(probe.encode_per_s)} encoded and {_rate(probe.step_per_s)} trained on per second."
    )
    parts = seconds_to_go(config, work, probe, is_overlapped=has_gpu)
    shown = ", ".join(f"{name} {duration_text(seconds)}" for name, seconds in parts.items())
    reporter.log(f"Time to go: {_about(duration_text(sum(parts.values())))} ({shown}).")


def _say_memory(
    needed: Mapping[str, int],
    room: int | None,
    device: torch.device,
    probe: Probe,
    reporter: Reporter,
) -> None:
    had = "" if room is None else f"; {bytes_text(room)} can be had"
    reporter.log(f"Memory: {_about(_sum_text(needed))}{had}.")
    if device.type == "cuda":
        whole = torch.cuda.get_device_properties(device).total_memory
        reporter.log(
            f"GPU memory: a step takes {bytes_text(probe.gpu_peak)} of {bytes_text(whole)}."
        )


def _say_picked(
    config: DreSlclConfig,
    method: DreSlcl,
    work: Workload,
    chunk: int | None,
    readers: int | None,
    reporter: Reporter,
) -> None:
    if chunk != config.training.encode_chunk:
        effect = (
            "each part normalised by itself, as the tile encoder has batch normalisation"
            if normalises_by_batch(method.net.encoder)
            else "which gives the same gradient"
        )
        reporter.log(
            f"A step of {work.largest_step:,} fresh tiles does not fit into memory at once, so "
            f"{chunk} go through the encoder at a time, {effect} "
            f"(training.encode_chunk={chunk}).",
            "warning",
        )
    if readers:
        reporter.log(
            f"Reading is slower than encoding, so {readers} threads read instead of "
            f"{config.training.workers} (training.workers={readers})."
        )


def _about(amount: str) -> str:
    return amount if amount.startswith("under ") else f"about {amount}"


def _sum_text(parts: Mapping[str, int]) -> str:
    """Return a sum and the parts that matter, such as ``3.0 GiB (bank 1.0 GiB, cache 2.0 GiB)``."""
    whole = sum(parts.values())
    shown = ", ".join(f"{name} {bytes_text(n)}" for name, n in parts.items() if n > _SHOWN * whole)
    return f"{bytes_text(whole)} ({shown})" if shown else bytes_text(whole)


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}"
