"""Which reader serves a slide: the file's own JPEG tiles where they are plain, else OpenSlide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide.file_to_open import file_to_open
from napari_dre_slcl.slide.info import Finding
from napari_dre_slcl.slide.openslide_backend import OpenSlideBackend, UnknownFormatError
from napari_dre_slcl.slide.proof import prove, prove_remote
from napari_dre_slcl.slide.remote import is_remote, look_up
from napari_dre_slcl.slide.remote_backend import FetchedBackend, fetched, ranged
from napari_dre_slcl.slide.tiff_backend import TiffBackend
from napari_dre_slcl.slide.tiff_layout import (
    BrokenTiffError,
    TiffLevel,
    UnsuitableTiffError,
    claims_too_much,
    colour_fault,
    is_tiff,
    matching_levels,
    page_levels,
    page_shapes,
)

__all__ = ["SlideBackend", "open_backend", "open_untried"]

# Formats in which a level is one TIFF page and nothing else; others shift or leave out tiles.
_PLAIN_VENDORS = ("aperio", "generic-tiff")


class SlideBackend(Protocol):
    """What reads the pixels of one file; level coordinates in, white-backed RGB out."""

    name: str
    reason: str
    level_shapes: tuple[tuple[int, int], ...]
    tile_shape: tuple[int, int]
    associated_images: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def properties(self) -> Mapping[str, str]:
        """Return properties under OpenSlide's names."""

    def reductions(self, level: int) -> tuple[int, ...]:
        """Return the factors at which a level can be read, 1 first."""

    def read(
        self,
        level: int,
        y: int,
        x: int,
        height: int,
        width: int,
        reduction: int = 1,
        out: NDArray[np.uint8] | None = None,
    ) -> NDArray[np.uint8]:
        """Read a box of a level, all in pixels of the level divided by `reduction`."""

    def close(self) -> None:
        """Close the file."""


def open_backend(path: Path) -> SlideBackend:
    """Open a slide with the fastest reader that gives its pixels exactly.

    A file that is new is first opened in a process that it may end; see `slide.proof`.

    Parameters
    ----------
    path : Path
        A file, or the folder of a DICOM slide; a URL of either.

    Raises
    ------
    SlideError
        If there is no such file or it is no slide.
    """
    if is_remote(path):
        return _open_remote(path)
    prove(path)
    return open_untried(path)


def open_untried(path: Path) -> SlideBackend:
    """As `open_backend`, whatever comes of it; of a URL, by ranges."""
    if is_remote(path):
        return ranged(path)
    is_dicom_folder = path.is_dir()
    if not is_dicom_folder and is_tiff(file_to_open(path)) and claims_too_much(path):
        return _open_with_tifffile(path, "a tile claims more bytes than the file has")
    try:
        openslide = OpenSlideBackend(path)
    except UnknownFormatError:
        if is_dicom_folder or not is_tiff(path):
            raise
        return _open_with_tifffile(path, "OpenSlide does not read it")
    if is_dicom_folder or not is_tiff(path):
        openslide.reason = "the file is no TIFF"
        return openslide
    fault = colour_fault(path)
    if fault:
        openslide.close()
        raise _not_readable(path, fault, "give a tiled 8-bit RGB slide")
    if openslide.properties.get("openslide.vendor") == "generic-tiff":
        better = _open_right_pages(path, openslide)
        if better is not None:
            openslide.close()
            return better
    try:
        direct = _open_directly(path, openslide)
    except UnsuitableTiffError as reason:
        openslide.reason = str(reason)
        return openslide
    openslide.close()
    return direct


def _open_remote(path: Path) -> SlideBackend:
    copy = fetched(path)
    if copy is None:
        prove_remote(path, look_up(path).stamp)
        return ranged(path)
    try:
        return FetchedBackend(open_backend(copy.path), copy)
    except SlideError:
        copy.close()
        raise


def _open_with_tifffile(path: Path, why: str) -> TiffBackend:
    try:
        levels, properties = page_levels(path)
    except BrokenTiffError as reason:
        raise _not_readable(path, str(reason), "copy the file again from its source") from reason
    except UnsuitableTiffError as reason:
        raise _not_readable(path, str(reason), "give a tiled 8-bit RGB slide") from reason
    return TiffBackend(path, levels, properties, reason=why)


def _not_readable(path: Path, reason: str, advice: str) -> SlideError:
    return SlideError(
        f"Slide '{path.name}' is not a whole-slide image that can be read: {reason}; {advice}."
    )


def _open_directly(path: Path, openslide: OpenSlideBackend) -> TiffBackend:
    vendor = openslide.properties.get("openslide.vendor", "unknown")
    if vendor not in _PLAIN_VENDORS:
        raise UnsuitableTiffError(f"{vendor} files arrange tiles in a way of their own")
    levels = matching_levels(path, openslide.level_shapes)
    reason = "its tiles are plain JPEG"
    direct = TiffBackend(path, levels, openslide.properties, openslide.associated_images, reason)
    try:
        for number, level in enumerate(levels):
            _compare(direct, openslide, number, level)
    except UnsuitableTiffError:
        direct.close()
        raise
    return direct


def _open_right_pages(path: Path, openslide: OpenSlideBackend) -> TiffBackend | None:
    """Return a backend for the true pyramid where OpenSlide takes other pages for it.

    It begins with the first page, even if that is a macro image or a coarse level, takes every
    tiled page for a level, even a label, and does not see SubIFDs, where OME-TIFF has levels.
    """
    shapes = page_shapes(path)
    if shapes in ((), openslide.level_shapes):
        return None
    is_base_right = shapes[0] == openslide.level_shapes[0]
    is_more_shown = any(shape not in shapes for shape in openslide.level_shapes)
    try:
        levels, properties = page_levels(path)
    except UnsuitableTiffError as error:
        if not is_base_right:
            openslide.close()
            fault = f"its first page is not level 0, and {error}"
            advice = "convert it to a pyramid that begins with its largest page"
            raise _not_readable(path, fault, advice) from error
        openslide.keep_levels(shapes)
        return None
    reason = "OpenSlide takes other pages for its levels"
    if is_base_right and not is_more_shown:
        reason = "OpenSlide does not see its coarser levels"
        properties = {**openslide.properties, **properties}
    return TiffBackend(path, levels, properties, (), reason)


def _compare(
    direct: TiffBackend, openslide: OpenSlideBackend, number: int, level: TiffLevel
) -> None:
    """Decode a tile both ways; refuse unless they agree bit for bit.

    Of level 0 the fullest tile that decodes; of the others the first, whose place is the same
    whatever the downsample is.
    """
    order = np.argsort(level.counts, kind="stable")
    for index in (order[-1], order[len(order) // 2]) if number == 0 else (0,):
        row, col = divmod(int(index), level.grid_shape[1])
        height, width = level.tile_shape
        box = (number, row * height, col * width, height, width)
        try:
            is_equal = np.array_equal(direct.read(*box), openslide.read(*box))
        except DamagedSlideError:
            continue
        if not is_equal:
            raise UnsuitableTiffError("its tiles decode to other pixels than OpenSlide's")
        return
    raise UnsuitableTiffError(f"tiles of level {number} do not decode alone")
