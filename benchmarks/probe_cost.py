"""What it costs to open a slide with and without a trial process before.

    python benchmarks/probe_cost.py lung-scc-HE3.tif

Prints, in the order of a user's day: the first opening ever with the process warm, a later opening
of a slide that has proved itself, and the command `dre-slcl mpp` on a new slide and on a known one,
each as a ratio to the same without trials. Medians over rounds, in turn, so that a busy machine
slows all alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.trial.proof import start_now
from napari_dre_slcl.trial.proof_book import BOOK_NAME

Act = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("slide", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DRE_SLCL_CONFIG_DIR"] = folder
        slide = Path(folder) / options.slide.name
        shutil.copyfile(options.slide, slide)
        start_now()
        open_slide(slide).close()
        _compare("open", lambda: open_slide(slide).close(), slide, options.rounds)
        command = [sys.executable, "-m", "napari_dre_slcl.cli.app", "mpp", str(slide), "--json"]
        run = {"check": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        _compare("command", lambda: subprocess.run(command, **run) and None, slide, options.rounds)


def _compare(name: str, act: Act, slide: Path, rounds: int) -> None:
    took: dict[str, list[float]] = {"new": [], "known": [], "without": []}
    for _ in range(rounds):
        _make_new(slide)
        os.environ["DRE_SLCL_PROBE"] = "on"
        took["new"].append(_seconds(act))
        took["known"].append(_seconds(act))
        os.environ["DRE_SLCL_PROBE"] = "off"
        took["without"].append(_seconds(act))
    middle = {case: statistics.median(times) for case, times in took.items()}
    for case in ("new", "known"):
        extra_ms = 1000 * (middle[case] - middle["without"])
        ratio = middle[case] / middle["without"]
        print(f"{name}, {case} slide: {ratio:.2f} times as long, {extra_ms:+.0f} ms")


def _make_new(slide: Path) -> None:
    """Let the slide be another than those that are known."""
    os.utime(slide)
    (slide.parent / BOOK_NAME).unlink(missing_ok=True)


def _seconds(act: Act) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
