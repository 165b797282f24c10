"""The command line as a module, as launchers such as torchrun start it."""

from __future__ import annotations

import subprocess
import sys

from napari_dre_slcl import __version__


def test_the_module_is_the_command() -> None:
    # torchrun takes --run for its own, so that two dashes stand before what is ours.
    command = [sys.executable, "-m", "napari_dre_slcl", "--", "train", "--run", "r"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Missing option '--cohort'" in done.stderr
    command = [sys.executable, "-m", "napari_dre_slcl", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"dre-slcl {__version__}\n"
