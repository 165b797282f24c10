"""The program that shows a slide with its result, as the demonstration starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def show(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "napari_dre_slcl.gui.show", *map(str, arguments)],
        env=os.environ | {"NAPARI_CONFIG": str(tmp_path / "settings.yaml")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_window_is_saved_as_a_picture(qapp, tmp_path, slide_path, trained) -> None:
    picture = tmp_path / "window.png"
    result, model = trained.result_path, trained.run_dir
    done = show(tmp_path, slide_path, "--result", result, "--model", model, "--screenshot", picture)
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape == (1000, 1600, 3)
    canvas = pixels[100:900, 420:1220].reshape(-1, 3)
    assert len(np.unique(canvas, axis=0)) > 1000  # tissue, not an empty canvas


def test_missing_slide_is_one_sentence_and_exit_code_2(qapp, tmp_path) -> None:
    done = show(tmp_path, tmp_path / "gone.svs", "--screenshot", tmp_path / "window.png")
    assert done.returncode == 2
    assert "gone.svs" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "window.png").exists()
