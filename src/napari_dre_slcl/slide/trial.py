"""What is done to a slide in a trial: it is opened, and some tiles of each level are read.

Called in a process that may end by it; see `slide.probe_process`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.slide.backend import SlideBackend, open_untried
from napari_dre_slcl.slide.dicom_frames import check_frames
from napari_dre_slcl.slide.trial_hdf5 import is_hdf5, try_hdf5
from napari_dre_slcl.slide.urls import is_remote

__all__ = ["try_slide"]

_LARGEST_BOX_PX = 512


def try_slide(path: Path, image: str | None = None) -> None:
    """Open a slide and read some of it; damage that is met is no fault.

    Parameters
    ----------
    path : Path
        A file, the folder of a DICOM slide, or the URL of a TIFF to be read by ranges.
    image : str, optional
        One of its associated images, to be read in the place of its levels.

    Raises
    ------
    SlideError
        If it is no slide or cannot be opened.
    """
    if image is not None:
        from napari_dre_slcl.slide.associated import read_untried

        read_untried(path, image)
        return
    if not is_remote(path):
        if is_hdf5(path):
            try_hdf5(path)
            return
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
