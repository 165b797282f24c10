"""What is done to a slide in a trial: it is opened, and some tiles of each level are read.

Called in a process that may end by it; see `napari_dre_slcl.trial`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.slide.associated import read_untried
from napari_dre_slcl.slide.backend import SlideBackend, open_untried
from napari_dre_slcl.slide.dicom_frames import check_frames
from napari_dre_slcl.slide.urls import is_remote

__all__ = ["try_image", "try_slide"]

_LARGEST_BOX_PX = 512


def try_image(path: Path, name: str) -> None:
    """Read an associated image of a slide.

    Parameters
    ----------
    path : Path
        A local slide.
    name : str
        Of the image.

    Raises
    ------
    SlideError
        If it is no slide, or has no such image.
    """
    read_untried(path, name)


def try_slide(path: Path, _: str = "") -> None:
    """Open a slide and read some of it; damage that is met is no fault.

    Parameters
    ----------
    path : Path
        A file, the folder of a DICOM slide, or the URL of a TIFF to be read by ranges.

    Raises
    ------
    SlideError
        If it is no slide or cannot be opened.
    """
    if not is_remote(path):
        check_frames(path)
    with closing(open_untried(path)) as backend:
        for level, y, x in _places(backend):
            height, width = (min(edge, _LARGEST_BOX_PX) for edge in backend.tile_shape)
            with suppress(DamagedSlideError):
                backend.read(level, y, x, height, width)


def _places(backend: SlideBackend) -> Iterator[tuple[int, int, int]]:
    """Give the first, the middle and the last tile of each level."""
    for level, shape in enumerate(backend.level_shapes):
        tiles = [-(-size // edge) for size, edge in zip(shape, backend.tile_shape, strict=True)]
        numbers = sorted({(0, 0), (tiles[0] // 2, tiles[1] // 2), (tiles[0] - 1, tiles[1] - 1)})
        for row, col in numbers:
            yield level, row * backend.tile_shape[0], col * backend.tile_shape[1]
