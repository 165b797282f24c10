"""Ways in which a slide of a large cohort is broken, as they come from scanners, drives and people.

Each makes a file in the place of a sound one, or leaves none.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

__all__ = ["WAYS", "break_slide"]

_HEAD = 16
_SIDE_PX = 512


def break_slide(path: Path, way: str, draw: random.Random) -> None:
    """Break a sound slide in place, in one of `WAYS`."""
    WAYS[way](path, draw)


def _missing(path: Path, _: random.Random) -> None:
    path.unlink()


def _empty(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def _cut(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(_HEAD, len(content) // 2)])


def _text(path: Path, _: random.Random) -> None:
    path.write_text("<html><title>404: the file has moved</title></html>")


def _zeros(path: Path, _: random.Random) -> None:
    """Leave the length and lose the contents, as a drive does after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def _noise(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes()[:8] + draw.randbytes(path.stat().st_size))


def _folder(path: Path, _: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _link_to_nowhere(path: Path, _: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.parent / "unplugged-drive" / path.name)


def _glass(path: Path, _: random.Random) -> None:
    """Show glass alone."""
    _write(path, np.full((_SIDE_PX, _SIDE_PX, 3), 245, np.uint8), (20_000.0, 20_000.0))


def _no_pixel_size(path: Path, _: random.Random) -> None:
    with tifffile.TiffFile(path) as stream:
        pixels = stream.pages[0].asarray()
    _write(path, pixels, None)


def _dead_tiles(path: Path, _: random.Random) -> None:
    """Keep the header and lose every picture in it."""
    with tifffile.TiffFile(path) as stream:
        spans = [
            span
            for page in stream.pages
            for span in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
    with path.open("r+b") as file:
        for offset, count in spans:
            file.seek(offset)
            file.write(bytes(count))


def _write(path: Path, pixels: np.ndarray, resolution: tuple[float, float] | None) -> None:
    path.unlink()
    with tifffile.TiffWriter(path) as writer:
        writer.write(
            pixels,
            tile=(256, 256),
            photometric="rgb",
            compression="jpeg",
            metadata=None,
            resolution=resolution,
            resolutionunit=None if resolution is None else "CENTIMETER",
        )


WAYS: dict[str, Callable[[Path, random.Random], None]] = {
    "missing": _missing,
    "empty": _empty,
    "cut short": _cut,
    "a web page": _text,
    "zeros": _zeros,
    "noise": _noise,
    "a folder": _folder,
    "a link to nowhere": _link_to_nowhere,
    "no tissue": _glass,
    "no pixel size": _no_pixel_size,
    "all tiles damaged": _dead_tiles,
}
