"""What it costs a window to have large blocks of memory mapped singly, and what it keeps less.

    python benchmarks/large_blocks.py SLIDE [SLIDE ...] [--views 120] [--rounds 3]

Reads views of 1000 x 1600 px at random places and levels, as a canvas asks for them, from slides
that are opened and closed in turn, in two child processes in turn, with and without
``allocator.give_large_blocks_back``. The cache holds 64 MiB, so most tiles are decoded and dropped
again. Prints medians: the processor time, and the memory that a process has written to and still
holds when all slides are closed. The last lines are the ratios.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

CHILD = """
import random, sys, time
from pathlib import Path
from napari_dre_slcl.allocator import give_large_blocks_back
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.block_cache import viewer_cache
from napari_dre_slcl.slide.pyramid import slide_pyramid

def written_mib():
    told = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in told if line.startswith("Anonymous:")) / 1024

if sys.argv[1] == "1" and not give_large_blocks_back():
    sys.exit("This C library takes no such advice.")
viewer_cache().limit_bytes = 64 * 2**20
draw, seconds, before = random.Random(0), 0.0, written_mib()
for number in range(int(sys.argv[2]) // 3):
    with open_slide(Path(sys.argv[3 + number % len(sys.argv[3:])])) as slide:
        levels = slide_pyramid(slide)
        for _ in range(3):
            level = draw.choice(levels)
            top, left = (draw.randrange(max(1, n - m)) for n, m in zip(level.shape, (1000, 1600)))
            start = time.process_time()
            view = level[top : top + 1000, left : left + 1600]
            seconds += time.process_time() - start
        del view, level, levels
print(seconds, written_mib() - before)
"""


def measure(is_mapped: bool, n_views: int, slides: list[Path]) -> list[float]:
    """Return seconds of processor time and MiB that stay."""
    command = [sys.executable, "-c", CHILD, str(int(is_mapped)), str(n_views), *map(str, slides)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return [float(word) for word in done.stdout.split()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slides", type=Path, nargs="+")
    parser.add_argument("--views", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found: dict[bool, list[list[float]]] = {False: [], True: []}
    for _ in range(options.rounds):
        for is_mapped, rows in found.items():
            rows.append(measure(is_mapped, options.views, options.slides))
    medians = {
        is_mapped: [statistics.median(column) for column in zip(*rows, strict=True)]
        for is_mapped, rows in found.items()
    }
    for is_mapped, text in ((False, "as glibc does it"), (True, "mapped singly")):
        seconds, mib = medians[is_mapped]
        sys.stdout.write(f"{text}: {seconds:.2f} s, {mib:.0f} MiB kept (all: {found[is_mapped]})\n")
    for place, what in enumerate(("processor time", "memory kept")):
        sys.stdout.write(f"ratio of {what} {medians[True][place] / medians[False][place]:.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
