"""A giant slide in parts: its tiles in a plan, the features of each part in a file.

They lie in a hidden folder beside the output, whose name changes with the slide and the settings:
work that was broken off is gone on with, and never mixed with that of another model.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.fingerprint import slide_fingerprint
from napari_dre_slcl.tiles import TileGrid
from napari_dre_slcl.untrusted import open_npz

__all__ = [
    "PARTS_FOLDER",
    "PartWriteError",
    "Plan",
    "has_plan",
    "part_count",
    "part_name",
    "part_path",
    "part_size",
    "part_slice",
    "parts_folder",
    "read_parts",
    "read_plan",
    "remove_all",
    "write_part",
    "write_plan",
]

PARTS_FOLDER = ".parts"
_PLAN = "plan.npz"
_KEY_LETTERS = 16
_DAMAGED_FILE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)

_BATCH = 256
"""Tiles are encoded so many at a time; parts end where a batch does, so that joined features are
those of the whole slide to the last bit."""


class PartWriteError(SlideError):
    """A part cannot be written; the slide is not to blame."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The tiles of a slide, found once.

    Parameters
    ----------
    grid : TileGrid
        All of them.
    tiles : ndarray of int64, shape (n,)
        Numbers of those to encode.
    """

    grid: TileGrid
    tiles: NDArray[np.int64]


def parts_folder(identity: str, part_tiles: int, slide: Path, output: Path) -> Path:
    """Return where the parts of a slide lie.

    Parameters
    ----------
    identity : str
        Of model and settings.
    part_tiles : int
        Tiles of a part.
    slide, output : Path
        The slide, and the file that is made of it.

    Raises
    ------
    SlideError
        If the slide cannot be read.
    """
    facts = f"{identity} {part_size(part_tiles)} {slide_fingerprint(slide)}"
    key = hashlib.sha256(facts.encode()).hexdigest()[:_KEY_LETTERS]
    return output.parent / PARTS_FOLDER / f"{output.name}-{key}"


def part_size(part_tiles: int) -> int:
    """Return how many tiles a part has: a whole number of batches."""
    return -(-part_tiles // _BATCH) * _BATCH


def part_count(n_tiles: int, part_tiles: int) -> int:
    """Return into how many parts so many tiles are cut."""
    return -(-n_tiles // part_size(part_tiles))


def part_slice(part: int, part_tiles: int) -> slice:
    """Return which of the tiles to encode are in a part."""
    size = part_size(part_tiles)
    return slice(part * size, (part + 1) * size)


def part_path(folder: Path, part: int) -> Path:
    """Return the file of a part's features."""
    return folder / f"part-{part:05}.npz"


def part_name(output: Path, part: int) -> Path:
    """Return by what a part is locked: beside the output, whose folder never goes meanwhile."""
    return output.with_name(f"{output.name}.part-{part:05}")


def has_plan(folder: Path) -> bool:
    """Return whether the tiles were found before."""
    return (folder / _PLAN).is_file()


def write_plan(folder: Path, grid: TileGrid, tiles: NDArray[np.int64]) -> None:
    """Keep the tiles of a slide; raises `PartWriteError` where that fails."""
    _write(
        folder / _PLAN,
        status=grid.status,
        facts=np.array([grid.tile_px, grid.size_px]),
        mpp=np.array([grid.mpp, grid.target_mpp]),
        tiles=tiles,
    )


def read_plan(folder: Path) -> Plan:
    """Return the tiles of a slide; raises `SlideError` where they cannot be read."""
    found = _read(folder / _PLAN)
    try:
        tile_px, size_px = (int(number) for number in found["facts"])
        mpp, target_mpp = (float(number) for number in found["mpp"])
        return Plan(TileGrid(tile_px, size_px, found["status"], mpp, target_mpp), found["tiles"])
    except (KeyError, ValueError) as error:
        raise _damaged(folder) from error


def write_part(folder: Path, part: int, features: NDArray[np.float32], damaged: str) -> None:
    """Keep the features of a part; raises `PartWriteError` where that fails."""
    _write(part_path(folder, part), features=features, damaged=np.array(damaged))


def read_parts(folder: Path, count: int) -> tuple[Tensor, str]:
    """Return the (n, d) features of all parts, and what is to tell of damaged tiles.

    Raises
    ------
    SlideError
        If a part is missing or damaged.
    """
    features: list[Tensor] = []
    damaged: list[str] = []
    for part in range(count):
        found = _read(part_path(folder, part))
        features.append(torch.from_numpy(found["features"]))
        damaged += [str(found["damaged"])] * bool(str(found["damaged"]))
    return torch.cat(features), " ".join(damaged)


def remove_all(output: Path) -> None:
    """Remove the parts of a slide that is done, those of other settings too."""
    with suppress(OSError):
        for folder in (output.parent / PARTS_FOLDER).iterdir():
            name, _, key = folder.name.rpartition("-")
            if name == output.name and len(key) == _KEY_LETTERS:
                shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, **arrays: NDArray[Any]) -> None:
    named: dict[str, Any] = dict(arrays)
    try:
        with atomic_writer(path) as stream:
            np.savez(stream, **named)
    except OSError as error:
        reason = f"The part '{path}' cannot be written: {error.strerror}."
        raise PartWriteError(reason) from error


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with open_npz(path) as stored:
            return {name: stored[name] for name in stored}
    except _DAMAGED_FILE as error:
        if not isinstance(error, OSError):  # read, and no such file: the next run makes it anew
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise _damaged(path) from error


def _damaged(path: Path) -> SlideError:
    return SlideError(f"The part '{path}' is missing or damaged. Run the command again.")
