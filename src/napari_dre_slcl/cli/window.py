"""Starts napari as a process of its own: with the display there is, or under a virtual screen."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from napari_dre_slcl.errors import JobError

__all__ = ["has_display", "open_window", "save_screenshot"]

_SHOW = (sys.executable, "-m", "napari_dre_slcl.gui.show")
_VIRTUAL_SCREEN = ("xvfb-run", "-a", "-s", "-screen 0 1600x1000x24")
_LIMIT_S = 300


def has_display() -> bool:
    """Return whether a window can be opened here."""
    if platform.system() == "Linux":
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def open_window(slide: Path, result: Path, model: Path) -> bool:
    """Open napari with a slide and its result, and wait until it is closed.

    Returns
    -------
    bool
        False where there is no display, so nothing was opened.
    """
    if not has_display():
        return False
    subprocess.run([*_SHOW, *_arguments(slide, result, model)], check=False)
    return True


def save_screenshot(slide: Path, result: Path, model: Path, picture: Path) -> None:
    """Show a slide and its result in napari, save the whole window as a picture, and close it.

    Parameters
    ----------
    slide, result, model : Path
        What to show.
    picture : Path
        PNG file to write.

    Raises
    ------
    JobError
        If there is neither a display nor xvfb-run, or napari fails.
    """
    screen: tuple[str, ...] = ()
    if not has_display():
        if shutil.which(_VIRTUAL_SCREEN[0]) is None:
            raise JobError(
                "There is no display and no xvfb-run, so napari cannot be shown. Install the "
                "package xvfb."
            )
        screen = _VIRTUAL_SCREEN
    picture.unlink(missing_ok=True)
    arguments = [*_arguments(slide, result, model), "--screenshot", str(picture.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"NAPARI_CONFIG": str(Path(folder) / "settings.yaml")}
        if screen:
            env["QT_QPA_PLATFORM"] = "xcb"  # the offscreen platform has no OpenGL canvas
        _run([*screen, *_SHOW, *arguments], env)
    if not picture.is_file():
        raise JobError(f"napari ended without writing the picture '{picture}'.")


def _arguments(slide: Path, result: Path, model: Path) -> list[str]:
    return [str(slide), "--result", str(result), "--model", str(model)]


def _run(command: list[str], env: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise JobError(f"napari did not finish its picture within {_LIMIT_S} s.") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise JobError(f"napari ended with code {done.returncode}: {last}")
