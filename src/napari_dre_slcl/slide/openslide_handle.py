"""One open handle of OpenSlide, and the sentences for what cannot be opened."""

from __future__ import annotations

import threading
from pathlib import Path

import openslide
from PIL import Image

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.forked import restart_after_fork

__all__ = ["OpenSlideHandle", "UnknownFormatError", "first_line"]

CACHE_BYTES = 64 * 2**20


class UnknownFormatError(SlideError):
    """OpenSlide does not know what the file is."""


class OpenSlideHandle:
    """An open file of which many threads may read, once each level has been read by one alone.

    OpenSlide 4.0.1 with libdicom 1.3.0 ends the process by SIGSEGV where two threads take the first
    look at a DICOM level of a file that was cut, at one of ten to a hundred such looks: the first
    fails halfway in making the table of frames, it seems, and the other, which waits, uses it.
    OpenSlide refuses all reads that begin after a failure, so one that is alone does no harm.

    Parameters
    ----------
    file : Path
        What OpenSlide opens.
    path : Path
        What the user calls the slide.

    Raises
    ------
    SlideError
        If there is no such file or it is no slide; `UnknownFormatError` where another reader may
        know it.
    """

    def __init__(self, file: Path, path: Path) -> None:
        self.slide = _open(file, path)
        self._first = threading.Lock()
        self._read_levels: set[int] = set()

    def read_region(
        self, location: tuple[int, int], level: int, size: tuple[int, int]
    ) -> Image.Image:
        """Read a box of one level; raises what OpenSlide raises.

        Parameters
        ----------
        location : (int, int)
            x, y in level-0 pixels.
        level : int
        size : (int, int)
            Width, height in pixels of the level.
        """
        if level in self._read_levels:
            return self._read(location, level, size)
        with self._first:
            image = self._read(location, level, size)
        _, most_alpha = image.getchannel("A").getextrema()
        if most_alpha:  # outside the slide, and where a scanner left out, nothing has been read yet
            self._read_levels.add(level)
        return image

    def _read(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        image: Image.Image = self.slide.read_region(location, level, size)
        return image

    def close(self) -> None:
        """Close the file; nobody may be reading."""
        self.slide.close()


def _open(file: Path, path: Path) -> openslide.OpenSlide:
    try:
        handle = openslide.OpenSlide(str(file))
        handle.set_cache(_cache.shared)
    except openslide.OpenSlideUnsupportedFormatError as error:
        raise UnknownFormatError(
            f"Slide '{path.name}' is not a whole-slide image that OpenSlide reads; "
            "give a pyramidal SVS, TIFF, NDPI, MRXS, SCN or DICOM slide."
        ) from error
    except (openslide.OpenSlideError, OSError) as error:
        if "Too many open files" in str(error):
            raise SlideError(
                f"Slide '{path.name}' cannot be opened: too many files are open at once. Raise the "
                "system's limit (ulimit -n), or use fewer slides."
            ) from error
        if "Unsupported TIFF compression" in str(error):
            raise UnknownFormatError(
                f"Slide '{path.name}' cannot be opened ({first_line(error)}); "
                "give a slide compressed as JPEG."
            ) from error
        raise SlideError(
            f"Slide '{path.name}' cannot be opened ({first_line(error)}); "
            "copy the file again from its source."
        ) from error
    return handle


class _SharedCache:
    """OpenSlide's decoded tiles, of all slides together."""

    def __init__(self) -> None:
        self.shared = openslide.OpenSlideCache(CACHE_BYTES)
        self._inherited: list[openslide.OpenSlideCache] = []
        restart_after_fork(self)

    def restart_in_child(self) -> None:
        # Freeing the parent's would wait for a lock that a thread of the parent may hold.
        self._inherited.append(self.shared)
        self.shared = openslide.OpenSlideCache(CACHE_BYTES)


_cache = _SharedCache()


def first_line(error: Exception) -> str:
    """Return OpenSlide's reason, short enough to stand in a sentence."""
    if "Short read of file" in str(error):
        return "the file ends too early"
    if "Invalid TIFF" in str(error):
        return "its TIFF header is broken"
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no reason"
