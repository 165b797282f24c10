"""One spoiled slide for each number: always the same for the same seed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

from torture.slides.spoil_dicom import DICOM_WAYS
from torture.slides.spoil_tiff import TIFF_WAYS

__all__ = ["WAYS", "spoil"]

Way = Callable[[bytearray, random.Random], None]
_HEADER_BYTES = 2048


def flipped(data: bytearray, chance: random.Random) -> None:
    """Change bytes anywhere, or among the first or last, where headers lie."""
    first, last = chance.choice(
        ((0, len(data)), (0, len(data)), (0, _HEADER_BYTES), (-_HEADER_BYTES, 0))
    )
    begin, end = first % len(data), min(len(data), last or len(data))
    for _ in range(chance.choice((1, 4, 16, 64, 1000))):
        data[chance.randrange(begin, end)] = chance.choice((0, 255, chance.randrange(256)))


def truncated(data: bytearray, chance: random.Random) -> None:
    """Cut the file short, or leave out or repeat a piece in its middle."""
    one, other = sorted(chance.randrange(1, len(data)) for _ in range(2))
    way = chance.choice(("short", "short", "without", "twice"))
    if way == "short":
        del data[one:]
    elif way == "without":
        del data[one:other]
    else:
        data[other:other] = data[one : min(other, one + 2**20)]


COMMON_WAYS: dict[str, Way] = {"flipped bytes": flipped, "cut or pasted": truncated}
WAYS = (*COMMON_WAYS, *TIFF_WAYS)
"""Names of the ways, which are the same for all formats."""


def spoil(source: Path, way: str, chance: random.Random, folder: Path) -> Path:
    """Write a spoiled copy of a slide.

    Parameters
    ----------
    source : Path
        A sound slide; of a folder one file is spoiled.
    way : str
        One of `WAYS`.
    chance : random.Random
        Decides where and how.
    folder : Path
        To write into; the copy before is replaced.

    Returns
    -------
    Path
        What is to be opened.
    """
    target = folder / f"spoiled-{source.name}"
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    hurt = chance.choice(files)
    data = bytearray(_content(hurt))
    ways: dict[str, Way] = COMMON_WAYS | (DICOM_WAYS if hurt.suffix == ".dcm" else TIFF_WAYS)
    ways[way](data, chance)
    if source.is_file():
        target.write_bytes(data)
        return target
    if target not in _hurt:  # also what a process that died has left
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=shutil.copyfile)
        target.chmod(0o755)
    for file in files:
        if file.name == _hurt.get(target):
            (target / file.name).write_bytes(_content(file))
    (target / hurt.name).write_bytes(data)
    _hurt[target] = hurt.name
    return target


_hurt: dict[Path, str] = {}
"""Which file of a folder is not as in the sound slide."""


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()
