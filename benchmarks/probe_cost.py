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
import subprocess
import sys
import tempfile
from pathlib import Path

from trial_cost import compare

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.trial.proof import start_now


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
        compare("open", lambda: open_slide(slide).close(), slide, options.rounds)
        command = [sys.executable, "-m", "napari_dre_slcl.cli.app", "mpp", str(slide), "--json"]
        run = {"check": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        compare("command", lambda: subprocess.run(command, **run) and None, slide, options.rounds)


if __name__ == "__main__":
    main()
