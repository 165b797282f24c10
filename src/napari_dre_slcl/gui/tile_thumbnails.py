"""TileThumbnails: small pictures of tiles from many slides, read in a thread of their own."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QImage

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.gui.background import Background
from napari_dre_slcl.insight.hits import TileHit
from napari_dre_slcl.slide import open_slide

__all__ = ["EDGE_PX", "TileKey", "TileThumbnails", "tile_key"]

EDGE_PX = 96
"""Edge of a picture."""
_MOST_KEPT = 1500  # 41 MB
_BATCH = 8
_TOPIC = "reading tiles"


@dataclass(frozen=True, slots=True)
class TileKey:
    """A tile of a slide file.

    Parameters
    ----------
    path : str
        The slide.
    yx : tuple of int
        Top-left corner in level-0 pixels.
    size_px : int
        Edge in level-0 pixels.
    """

    path: str
    yx: tuple[int, int]
    size_px: int


def tile_key(hit: TileHit) -> TileKey:
    """Return which tile was found."""
    return TileKey(hit.slide.path, hit.yx, hit.slide.tile_size_px)


class TileThumbnails(QObject):
    """Reads pictures that are asked for, the last asked first, and keeps them.

    A thread of its own, so that results and tissue never wait behind a hundred slides.
    """

    arrived = Signal()
    """Pictures that were asked for are there, or cannot be read."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = Background(self)
        self._images: OrderedDict[TileKey, QImage] = OrderedDict()
        self._failed: dict[TileKey, str] = {}
        self._wanted: OrderedDict[TileKey, None] = OrderedDict()
        self._is_reading = False
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether pictures are still to come."""
        return self._is_reading

    def image(self, key: TileKey) -> QImage | None:
        """Return the picture of a tile, or None and have it read."""
        found = self._images.get(key)
        if found is not None:
            self._images.move_to_end(key)
            return found
        if key not in self._failed and not self._is_closed:
            self._wanted[key] = None
            self._wanted.move_to_end(key)
            self._read_next()
        return None

    def why_not(self, key: TileKey) -> str:
        """Return the sentence that says why a tile cannot be read, empty where it can."""
        return self._failed.get(key, "")

    def close(self) -> None:
        """Stop reading and forget all pictures."""
        self._is_closed = True
        self._wanted.clear()
        self._background.close()
        self._images.clear()

    def _read_next(self) -> None:
        if self._is_reading or self._is_closed or not self._wanted:
            return
        last = next(reversed(self._wanted))
        batch = [key for key in reversed(self._wanted) if key.path == last.path][:_BATCH]
        for key in batch:
            del self._wanted[key]
        self._is_reading = True
        self._background.run(
            _TOPIC,
            _read,
            batch,
            on_done=self._take,
            on_error=lambda sentence: self._give_up(batch, sentence),
        )

    def _take(self, read: dict[TileKey, NDArray[np.uint8]]) -> None:
        for key, pixels in read.items():
            self._images[key] = _as_image(pixels)
        while len(self._images) > _MOST_KEPT:
            self._images.popitem(last=False)
        self._go_on()

    def _give_up(self, batch: list[TileKey], sentence: str) -> None:
        self._failed |= dict.fromkeys(batch, sentence)
        self._go_on()

    def _go_on(self) -> None:
        self._is_reading = False
        self.arrived.emit()
        self._read_next()


def _read(batch: list[TileKey]) -> dict[TileKey, NDArray[np.uint8]]:
    """Read tiles of one slide."""
    path = Path(batch[0].path)
    if path.suffix.lower() in {".h5", ".hdf5"}:
        raise SlideError(f"'{path.name}' holds features; there is no slide to look at.")
    with open_slide(path) as slide:
        return {
            key: slide.read_scaled(*key.yx, EDGE_PX, EDGE_PX, max(key.size_px, 1) / EDGE_PX)
            for key in batch
        }


def _as_image(pixels: NDArray[np.uint8]) -> QImage:
    height, width = pixels.shape[:2]
    content = np.ascontiguousarray(pixels).tobytes()
    # A copy, because the picture does not keep the bytes alive.
    return QImage(content, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
