"""Child of test_fresh_tiles: takes steps that want more memory than this process may map.

``python run_hungry_steps.py FRESH IS_HALVED ROOM_MIB N_STEPS`` prints one JSON object. A process of
its own, because what earlier tests gave back to an allocator would count as room.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import torch

from napari_dre_slcl.engine.fresh_tiles import FreshTileBudget
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.slide_batch import SlideBatch

MIB = 2**20
MIB_PER_TILE = 1000


def batch_of(n_fresh: int) -> SlideBatch:
    """Return a batch of a slide with `n_fresh` tiles and one with a single one."""
    fresh = (torch.arange(n_fresh) * 7, torch.tensor([100]))
    tiles = torch.cat(fresh).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 2, 2, 3)
    return SlideBatch((3, 5), fresh, tiles)


def hungry(batch: SlideBatch) -> SlideBatch:
    """Hold much memory for each tile of a batch, all at once."""
    held = [torch.empty(MIB_PER_TILE * MIB, dtype=torch.uint8) for _ in batch.tiles]
    assert len(held) == len(batch.tiles)
    return batch


def main() -> None:
    fresh, is_halved, room_mib, n_steps = (int(argument) for argument in sys.argv[1:])
    said: list[str] = []
    keep = Reporter(lambda event: said.append(event.message), lambda: False)
    budget = FreshTileBudget(fresh, keep, bool(is_halved))
    budget.run(lambda batch: batch, batch_of(fresh))  # all that is loaded late is loaded now
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + room_mib * MIB,) * 2)
    taken: list[SlideBatch] = []
    error = ""
    try:
        for _ in range(n_steps):
            taken.append(budget.run(hungry, batch_of(fresh)))
    except ModelError as raised:
        error = str(raised)
    answer = {
        "fresh": [[tiles.tolist() for tiles in batch.fresh] for batch in taken],
        "tiles": [batch.tiles[:, 0, 0, 0].tolist() for batch in taken],
        "slides": [batch.slides for batch in taken],
        "budget": [budget.fresh_tiles, budget.is_halved],
        "said": said,
        "error": error,
    }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
