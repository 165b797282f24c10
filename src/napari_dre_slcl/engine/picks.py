"""Settings that a probe decides: how many tiles go through the encoder at a time, how many read."""

from __future__ import annotations

import math

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.amounts import bytes_text
from napari_dre_slcl.engine.device import processors
from napari_dre_slcl.engine.estimate import Workload, step_memory
from napari_dre_slcl.engine.probe import Probe
from napari_dre_slcl.errors import JobError

__all__ = ["SWITCH_OFF", "chunk_that_fits", "readers_that_keep_up"]

SWITCH_OFF = "training.preflight=false begins without this check."

_MOST_READERS = 16
# Readers keep up where they are at most this much slower than the encoder.
_KEEPS_UP = 0.9
# Of the memory that is left, for what a step keeps; the rest is for what comes and goes in it.
_MARGIN = 0.8


def chunk_that_fits(work: Workload, probe: Probe, room: int | None) -> int | None:
    """Return how many tiles may go through the encoder at a time, None for all of a step.

    Raises
    ------
    JobError
        If not even one fits.
    """
    if not probe.step_per_s:
        raise JobError(
            "Not even one fresh tile at a time fits into memory. Set encoder.checkpointing, choose "
            "a smaller tile encoder, or, if it is the GPU's, set training.device to cpu; "
            f"{SWITCH_OFF}"
        )
    chunk = probe.encode_chunk
    if room is None or step_memory(work, probe, chunk) <= room:
        return chunk
    fitting = int(_MARGIN * room) // probe.kept_per_tile
    if fitting < 1:
        raise JobError(
            f"The gradient of one tile takes {bytes_text(probe.kept_per_tile)} of memory, but "
            f"{bytes_text(room)} are left beside the memory bank and the tile cache. Lower "
            f"training.tile_cache_mib or set encoder.checkpointing; {SWITCH_OFF}"
        )
    return 1 << (fitting.bit_length() - 1)


def readers_that_keep_up(config: DreSlclConfig, probe: Probe) -> int | None:
    """Return how many readers keep up with the encoder, None where those that are there do."""
    present = config.training.workers
    if probe.read_per_s >= _KEEPS_UP * probe.encode_per_s:
        return None
    wanted = math.ceil(present * probe.encode_per_s / probe.read_per_s)
    chosen = min(wanted, processors(), _MOST_READERS)
    return chosen if chosen > present else None
