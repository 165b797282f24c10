"""What keeping freed memory saves a training step on the CPU.

    python benchmarks/allocator.py [--steps 8] [--tiles 160]

Times the forward and backward pass of the `cpu-small` tile encoder in two child processes in turn,
three times each, with and without ``allocator.keep_freed_memory``. The last line is the
ratio of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

CHILD = """
import sys, time, torch
from napari_dre_slcl.config import load_preset
from napari_dre_slcl.allocator import keep_freed_memory
from napari_dre_slcl.model.tile_encoder import TileEncoder
keeps, steps, tiles = (int(argument) for argument in sys.argv[1:])
if keeps and not keep_freed_memory():
    sys.exit("This C library takes no such advice.")
config = load_preset("cpu-small").encoder
encoder = TileEncoder(config)
pixels = torch.rand(tiles, 3, config.input_px, config.input_px)
for step in range(steps + 2):
    if step == 2:
        start = time.perf_counter()
    encoder(pixels).square().sum().backward()
print((time.perf_counter() - start) / steps)
"""


def seconds(keeps: bool, steps: int, tiles: int) -> float:
    command = [sys.executable, "-c", CHILD, str(int(keeps)), str(steps), str(tiles)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--tiles", type=int, default=160)
    options = parser.parse_args()
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(3):
        for keeps in times:
            times[keeps].append(seconds(keeps, options.steps, options.tiles))
    plain, kept = (statistics.median(times[keeps]) for keeps in (False, True))
    sys.stdout.write(f"step as glibc does it: {plain:.2f} s (all: {times[False]})\n")
    sys.stdout.write(f"step with memory kept: {kept:.2f} s (all: {times[True]})\n")
    sys.stdout.write(f"ratio {plain / kept:.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
