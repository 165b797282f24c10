"""Open a memory bank of 10 million tiles and say what that takes; `step_cost.py` makes the files.

    python benchmarks/big_bank.py FOLDER

A process of its own, as small as can be, so that what is measured is the bank. Prints one line of
JSON: seconds to open, MiB of resident memory that opening it and a step's reading and writing add.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil
import torch

from napari_dre_slcl.model.memory_bank import MemoryBank

SLIDES, TILES_PER_SLIDE, DIM, CODEWORDS = 1_000, 10_000, 384, 16


def open_bank(folder: Path) -> MemoryBank:
    """Open the bank, too large for the 4 GiB that would be read into memory."""
    return MemoryBank([TILES_PER_SLIDE] * SLIDES, DIM, CODEWORDS, folder=folder, memory_mib=4096)


def main() -> None:
    """Open it, take a batch out of the sums, write it back."""
    process = psutil.Process()
    torch.zeros(1).sum()
    before, start = process.memory_info().rss, time.perf_counter()
    bank = open_bank(Path(sys.argv[1]))
    seconds = time.perf_counter() - start
    slides = torch.arange(0, SLIDES, SLIDES // 8)[:8]
    fresh = torch.arange(0, TILES_PER_SLIDE, TILES_PER_SLIDE // 32)[:32]
    rows = torch.cat([bank.rows(int(slide), fresh) for slide in slides])
    bank.without_rows(slides, rows)
    stored = bank.blended(rows, torch.randn(len(rows), DIM))
    bank.write_rows(rows, stored, torch.zeros(len(rows)), torch.ones(len(rows)), step=1)
    added = process.memory_info().rss - before
    print(json.dumps({"seconds": seconds, "mib": added / 2**20}))


if __name__ == "__main__":
    main()
