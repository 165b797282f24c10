"""A child process that reads bad slides within bounds: python read_bad_files.py manifest.json

The manifest is a list of {"name", "path", "sound"}; `sound` is the slide that the bad one was made
from. Prints a line when it starts a file and a JSON line with what came of it, so that the parent
knows the file at which this process died.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import io
import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cli import main
from napari_dre_slcl.errors import DamagedSlideError, DreSlclError
from napari_dre_slcl.slide import Slide, open_slide

LIMIT_S = 20
MORE_MEMORY = 2**30
TILE_PX = 128
MAX_TILES = 200


def memory(key: str) -> int:
    """Return a figure of this process's memory, such as VmSize, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def corners_of(slide: Slide) -> list[tuple[int, int]]:
    """Return tiles that cover the slide, or, of a huge one, some of them."""
    height, width = (min(size, 2**40) for size in slide.info.shape)
    if (height // TILE_PX) * (width // TILE_PX) <= MAX_TILES:
        return [(y, x) for y in range(0, height, TILE_PX) for x in range(0, width, TILE_PX)]
    return [(y, x) for y in (0, height // 2, height - 9) for x in (0, width // 2, width - 9)]


@functools.cache
def sound_slide(path: Path) -> Slide:
    """Return a slide that stays open: dozens of bad ones are compared with it."""
    return open_slide(path)


@functools.cache
def sound_tile(path: Path, y: int, x: int) -> NDArray[np.uint8]:
    """Return a tile of a sound slide."""
    return sound_slide(path).read_tiles([[y, x]], TILE_PX)


def read_tiles(path: Path, sound: Path | None) -> dict[str, Any]:
    """Say of each tile whether it is that of the sound slide, another, or damaged."""
    came: dict[str, Any] = {"equal": 0, "other": [], "damaged": {}}
    with open_slide(path, mpp=0.5) as slide:
        came["backend"], came["tile_px"] = slide.info.backend, slide.info.tile_shape[0]
        for y, x in corners_of(slide):
            try:
                pixels = slide.read_tiles([[y, x]], TILE_PX, n_threads=1)
            except DamagedSlideError as error:
                came["damaged"][f"{y},{x}"] = str(error)
                continue
            is_equal = sound and np.array_equal(pixels, sound_tile(sound, y, x))
            came["equal"] += bool(is_equal)
            if not is_equal:
                came["other"].append([y, x])
        for level in range(len(slide.info.level_shapes)):
            with contextlib.suppress(DamagedSlideError):
                slide.read_region(0, 0, 64, 64, level=level)
    return came


def run_info(path: Path) -> dict[str, Any]:
    """Run `dre-slcl info` on a file."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["info", str(path), "--mpp", "0.5", "--json"])
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


def examine(path: Path, sound: Path | None) -> dict[str, Any]:
    """Open and read one file, and run the command on it."""
    try:
        came = read_tiles(path, sound)
    except DreSlclError as error:
        came = {"refused": str(error)}
    return came | {"info": run_info(path)}


if __name__ == "__main__":
    for entry in json.loads(Path(sys.argv[1]).read_text()):
        print("start", entry["name"], flush=True)
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + MORE_MEMORY, -1))
        came = examine(Path(entry["path"]), entry["sound"] and Path(entry["sound"]))
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(came | {"name": entry["name"]}), flush=True)
