"""What a training of any size takes: bytes in memory, on disk and over the network."""

from __future__ import annotations

import math
from collections.abc import Mapping

from napari_dre_slcl.engine.cost_scale import Scale
from napari_dre_slcl.engine.estimate import RESULT_BYTES_PER_TILE

__all__ = [
    "checkpoint_bytes",
    "disk_bytes",
    "known_memory",
    "memory_amounts",
    "memory_bytes",
    "network_bytes",
]

_MIB = 2**20
_PAGE = 4096
_INDEX_BYTES = 20
"""Of a tile in the index, beside its feature: place, codeword, attention, distance."""
_CODED_TILES = 5_000_000


def checkpoint_bytes(scale: Scale) -> float:
    """Return the bytes of a usual checkpoint: weights, optimiser, and what changed in the bank.

    What changed are the rows of the fresh tiles since the last one, and the sums of their slides.
    """
    steps = min(scale.checkpoint_steps, scale.steps)
    slides = min(scale.train_slides, steps * scale.slides_per_batch)
    row = 8 + 2 * scale.dim + 2 + 4 + 4 + 4
    weights = scale.copies * scale.weight_bytes + 2 * scale.trained_bytes
    return weights + slides * (scale.fresh * row + scale.sum_bytes)


def largest_checkpoint_bytes(scale: Scale) -> float:
    """Return the bytes of the checkpoint after the codewords were fitted: every tile's is new."""
    weights = scale.copies * scale.weight_bytes + 2 * scale.trained_bytes
    return weights + scale.train_tiles * 14 + scale.train_slides * scale.sum_bytes


def disk_bytes(scale: Scale) -> dict[str, float]:
    """Return the bytes that a training, its features and an index of all slides take on disk."""
    generations = 2 if scale.refills else 1
    tiles = scale.slides * scale.tiles
    return {
        "memory bank": generations * scale.bank_bytes,
        "checkpoints": largest_checkpoint_bytes(scale) + checkpoint_bytes(scale),
        "model and results": scale.weight_bytes
        + scale.test_slides * scale.tiles * RESULT_BYTES_PER_TILE,
        "feature files of all slides": tiles * (4 * (scale.stored_dim or scale.dim) + 16),
        "index of all slides": tiles * (4 * scale.dim + _INDEX_BYTES + _code_bytes(scale)),
    }


def _code_bytes(scale: Scale) -> float:
    """Return the bytes of a tile's compressed code in the index, which small indexes lack."""
    is_coded = scale.slides * scale.tiles > _CODED_TILES
    return min(scale.dim / 4, 96) + 8 if is_coded else 0


def known_memory(scale: Scale) -> dict[str, float]:
    """Return the bytes of what a process holds whose size follows from its type."""
    n = scale.train_slides
    of_tile = 4 * scale.stored_dim if scale.stored_dim else 3 * scale.input_px**2
    read = scale.own_tiles
    if scale.stored_dim:  # whole files are kept, those that validate and test as well
        read += (scale.val_slides + scale.test_slides) * scale.tiles / scale.ranks
    sampled = n * min(scale.tiles, scale.sampled_tiles)
    own_checkpoint = (
        scale.own_tiles * 14 + scale.own_slides * scale.sum_bytes + 3 * scale.weight_bytes
    )
    return {
        # Row and column as int64, and the score of its tissue; every process knows all slides.
        "places of tiles": 0 if scale.stored_dim else 24 * scale.slides * scale.tiles,
        "tiles that were read": min(read * of_tile, scale.cache_mib * _MIB),
        "memory bank": _bank_memory(scale),
        # Copies of what changed, and the file's content.
        "writing a checkpoint": 2 * own_checkpoint,
        "reports": 4.0 * n * scale.text_dim,
        # As drawn, joined, and k-means' own copy.
        "fitting codewords": 3.0 * sampled * 4 * scale.dim,
    }


def _bank_memory(scale: Scale) -> float:
    if scale.is_bank_in_memory:
        # The pages of its files while they are filled, and the copy that is worked on.
        return 2 * scale.own_bank_bytes
    # Pages of rows that changed since the last checkpoint; what was read can be given back.
    changed = min(scale.checkpoint_steps, scale.steps) * scale.slides_per_batch * scale.fresh
    sums = scale.own_slides * scale.sum_bytes
    return changed / scale.ranks * max(_PAGE, 2 * scale.dim) + sums + 15 * scale.own_tiles


def memory_amounts(scale: Scale) -> dict[str, float]:
    """Return the amounts whose bytes are measured."""
    return {
        "once": 1,
        "slide": scale.slides,
        "fresh tile of a step": scale.largest_batch * scale.fresh,
    }


def memory_bytes(scale: Scale, constants: Mapping[str, float]) -> dict[str, float]:
    """Return the bytes of memory of one process, at most.

    Parameters
    ----------
    scale : Scale
        How large the training is.
    constants : mapping
        Unit of `memory_amounts` -> bytes of one; what is missing counts nothing.
    """
    names = {
        "once": "program and network",
        "slide": "slides",
        "fresh tile of a step": "a step",
    }
    measured = {
        names[unit]: n * constants.get(unit, 0.0) for unit, n in memory_amounts(scale).items()
    }
    return {name: n for name, n in (measured | known_memory(scale)).items() if n}


def network_bytes(scale: Scale) -> dict[str, float]:
    """Return the bytes that each process sends in a step.

    Gradients are added up around a ring, 2 (R - 1) / R of their bytes (Patarasuk and Yuan,
    "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009); each process's
    slide vectors go to all others. Features of tiles and reports do not travel.
    """
    if scale.ranks == 1:
        return {}
    others = scale.ranks - 1
    return {
        "gradients": 2 * others / scale.ranks * scale.trained_bytes,
        "slide vectors": others * math.ceil(scale.slides_per_batch / scale.ranks) * 4.0 * scale.dim,
    }
