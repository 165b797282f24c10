"""Read some tiles, encode them and take a step on a copy, to learn how fast this machine is.

What is trained afterwards is not touched: the network is copied, the bank is another one, and
torch's random state is put back.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.engine.feature_source import FeatureLoader
from napari_dre_slcl.engine.fresh_tiles import free_device_memory, is_out_of_memory
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.step import StepTaker
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.methods.slide_batch import SlideBatch, SlideTruth
from napari_dre_slcl.model.memory_bank import MemoryBank
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.tiles import TileLoader
from napari_dre_slcl.tiles.loader import TileRequest

__all__ = ["Probe", "measure"]

STAGE = "Pre-flight"
_RUN = 16
_N_RUNS = 16
_READ_S, _ENCODE_S, _STEP_S = 4.0, 1.5, 4.0
_REPEATS = 3
# Forward and backward against forward alone, for a first guess.
_STEP_OVER_ENCODING = 3.5
_LARGEST_SLIDE = 4096


@dataclass(frozen=True, slots=True)
class Probe:
    """What a probe found.

    Parameters
    ----------
    tiles : int
        How many were read.
    read_per_s, encode_per_s : float
        Tiles per second, each on its own.
    step_per_s : float
        Fresh tiles per second through training steps, reading apart; 0 where no step fits.
    kept_per_tile : int
        Bytes that the backward pass needs of a fresh tile in main memory; 0 on a GPU.
    gpu_peak : int
        Most bytes of GPU memory in a step; 0 without a GPU.
    encode_chunk : int or None
        Setting that the step was taken with: as it is set, or smaller where that did not fit.
    """

    tiles: int
    read_per_s: float
    encode_per_s: float
    step_per_s: float
    kept_per_tile: int
    gpu_peak: int
    encode_chunk: int | None


def measure(
    config: DreSlclConfig, method: DreSlcl, loader: TileLoader | FeatureLoader, reporter: Reporter
) -> Probe:
    """Probe reading, encoding and a training step, in about ten seconds.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    method : DreSlcl
        With the network on its device; left as it is.
    loader : TileLoader or FeatureLoader
        Of the training slides, in the order of the bank.
    reporter : Reporter
        Told the progress.

    Raises
    ------
    SlideError
        If none of the tiles can be read.
    """
    device = method.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        reporter.progress(STAGE, 0, 3, "reading tiles")
        tiles, read_per_s = _read(config, method.bank, loader)
        reporter.progress(STAGE, 1, 3, "encoding tiles")
        encode_per_s = _encode(_Rehearsal(config, method, 1, 1).method, tiles)
        reporter.progress(STAGE, 2, 3, "taking a step")
        # A GPU takes a whole step, so that its memory is known; a CPU what it can in the time.
        is_whole = device.type == "cuda"
        step = _step(config, method, tiles, None if is_whole else _STEP_S * encode_per_s)
    reporter.progress(STAGE, 3, 3)
    if device.type != "cpu":
        free_device_memory()
    # A machine that others use may have been slower at one moment than at the next.
    return Probe(len(tiles), read_per_s, max(encode_per_s, step[0]), *step)


def _read(
    config: DreSlclConfig, bank: MemoryBank, loader: TileLoader | FeatureLoader
) -> tuple[Tensor, float]:
    """Read tiles from all over the cohort; return them and how many come per second."""
    runs = list(_runs(bank))
    size = 2 * config.training.workers
    found: list[Tensor] = []
    broken: SlideError | None = None
    begun = time.perf_counter()
    for first in range(0, len(runs), size):
        try:
            found.append(torch.from_numpy(loader.load(runs[first : first + size])))
        except SlideError as error:  # the first pass names the slide and goes on without it
            broken = error
        if found and time.perf_counter() - begun > _READ_S:
            break
    seconds = time.perf_counter() - begun
    if not found:
        assert broken is not None
        raise broken
    tiles = torch.cat(found)
    return tiles, len(tiles) / seconds


def _runs(bank: MemoryBank) -> Iterator[TileRequest]:
    """Yield runs of neighbouring tiles, evenly spread over all tiles; all where they are few."""
    starts = np.cumsum([0, *(bank.tile_count(slide) for slide in range(len(bank)))])
    if bank.n_tiles <= _RUN * _N_RUNS:
        places = [row for first, end in pairwise(starts) for row in range(first, end, _RUN)]
    else:
        places = [bank.n_tiles * run // _N_RUNS for run in range(_N_RUNS)]
    for place in places:
        slide = int(np.searchsorted(starts, place, side="right")) - 1
        first = int(place - starts[slide])
        yield slide, np.arange(first, min(first + _RUN, bank.tile_count(slide)))


def _encode(method: DreSlcl, tiles: Tensor) -> float:
    """Return how many tiles are encoded per second, without gradient."""
    n, best = min(8, len(tiles)), 0.0
    for _ in range(_REPEATS):  # the first goes towards starting up
        begun = time.perf_counter()
        method.encode_tiles(tiles[:n])
        rate = n / (time.perf_counter() - begun)
        best = max(best, rate)
        n = int(min(len(tiles), max(n, rate * _ENCODE_S)))
    return best


def _step(
    config: DreSlclConfig, method: DreSlcl, tiles: Tensor, encodable: float | None
) -> tuple[float, int, int, int | None]:
    """Take a whole step, or one in the time that so many tiles are encoded in; see `Probe`.

    Where memory runs out, half as many tiles at a time are tried on a GPU, half as many tiles in
    all on a CPU, until they fit.
    """
    settings = config.training
    n_slides, n_fresh = min(settings.slides_per_batch, len(method.bank)), settings.fresh_tiles
    if encodable is not None:
        most = max(1, int(encodable / _STEP_OVER_ENCODING))
        n_slides = min(n_slides, most)
        n_fresh = min(n_fresh, most // n_slides)
    is_gpu, chunk = encodable is None, settings.encode_chunk
    while n_fresh and chunk != 0:
        tried = with_overrides(config, {"training.encode_chunk": chunk if is_gpu else None})
        try:
            rate, kept, peak = _Rehearsal(tried, method, n_slides, n_fresh).take(tiles)
            return rate, kept, peak, chunk
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        free_device_memory()
        if is_gpu:
            chunk = min(chunk or n_slides * n_fresh, n_slides * n_fresh) // 2
        else:
            n_fresh //= 2
    return 0.0, 0, 0, None


class _Rehearsal:
    """A copy of a method on a few made-up slides, to take steps that nothing remembers."""

    def __init__(self, config: DreSlclConfig, method: DreSlcl, n_slides: int, n_fresh: int) -> None:
        # The largest slides, whose steps are the largest.
        by_size = sorted(range(len(method.bank)), key=method.bank.tile_count, reverse=True)
        slides = by_size[:n_slides]
        counts = [method.bank.tile_count(slide) for slide in slides]
        self._n_fresh = [min(count, n_fresh) for count in counts]
        # Enough rows for the codewords, whatever the slides have.
        least = max(n_fresh, math.ceil(2 * config.codebook.codewords / n_slides))
        counts = [max(least, min(count, _LARGEST_SLIDE)) for count in counts]
        # Rates that change next to nothing, so that no step can end in figures that are none.
        names = ("training.lr_encoder", "training.lr_rest", "features.lr_adapter")
        rates = dict.fromkeys(names, 1e-12)
        self._config = with_overrides(config, {"codebook.tiles_per_slide": least} | rates)
        net = copy.deepcopy(method.net)
        bank = MemoryBank(counts, net.encoder.dim, config.codebook.codewords)
        self.method = DreSlcl(self._config, net, bank, _truth_of(method.truth, slides))
        generator = seeded(config.training.seed, "preflight")
        for slide, count in enumerate(counts):
            features = torch.randn(count, bank.dim, generator=generator)
            bank.fill(slide, torch.arange(count), features)
        bank.commit_generation()
        self.method.fit_codewords()

    def take(self, tiles: Tensor) -> tuple[float, int, int]:
        """Return fresh tiles per second, bytes kept of each on the CPU, and the GPU's peak."""
        fresh, n_tiles = tuple(torch.arange(n) for n in self._n_fresh), sum(self._n_fresh)
        inputs = tiles[torch.arange(n_tiles) % len(tiles)]
        batch = SlideBatch(tuple(range(len(fresh))), fresh, inputs)
        net, device = self.method.net, self.method.device
        taker = StepTaker(self._config, self.method)
        is_gpu = device.type == "cuda"
        if is_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        rate, spent, kept = 0.0, 0.0, {0: 0}
        for step in range(_REPEATS):
            begun = time.perf_counter()
            with nullcontext() if is_gpu or step else _kept_for_backward(net, kept):
                taker.take(batch, step)
            if is_gpu:
                torch.cuda.synchronize(device)
            seconds = time.perf_counter() - begun
            rate, spent = max(rate, n_tiles / seconds), spent + seconds
            if spent > _STEP_S / 2:
                break
        copied = sum(value.numel() * value.element_size() for value in net.state_dict().values())
        peak = torch.cuda.max_memory_allocated(device) - copied if is_gpu else 0
        return rate, sum(kept.values()) // n_tiles, peak


@contextmanager
def _kept_for_backward(net: nn.Module, kept: dict[int, int]) -> Iterator[None]:
    """Note what autograd keeps in a block besides the network's own values: bytes by address."""
    own = {value.untyped_storage().data_ptr() for value in net.state_dict().values()}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield


def _truth_of(truth: SlideTruth, slides: Sequence[int]) -> SlideTruth:
    """Return what is known of some slides."""
    rows = torch.tensor(slides)
    return replace(
        truth,
        labels=truth.labels[rows],
        reports=truth.reports[rows],
        has_report=truth.has_report[rows],
        is_same=truth.is_same.of(rows),
        patients=tuple(truth.patients[slide] for slide in slides),
        sites=tuple(truth.sites[slide] for slide in slides),
    )
