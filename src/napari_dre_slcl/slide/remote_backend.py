"""Slides on another machine: read from a local copy, or by ranges where the format allows it.

By ranges a plain tiled TIFF is read tile by tile over the network; OpenSlide needs the file. That
is done where DRE_SLCL_REMOTE_READS says ``ranged``, and where the file is larger than the cache.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide.remote import (
    Fetched,
    RemoteFile,
    fetch,
    file_system,
    local_cache,
    look_up,
    remote_errors,
    remote_name,
    remote_stream,
)
from napari_dre_slcl.slide.tiff_backend import TiffBackend
from napari_dre_slcl.slide.tiff_layout import UnsuitableTiffError, page_levels

if TYPE_CHECKING:
    from napari_dre_slcl.slide.backend import SlideBackend

__all__ = ["FetchedBackend", "RangedFile", "fetched", "ranged"]

_APERIO = "Aperio"


class FetchedBackend:
    """A `SlideBackend` of a local copy, which stays until this is closed.

    Parameters
    ----------
    backend : SlideBackend
        Reads the copy.
    copy : Fetched
        Keeps it.
    """

    def __init__(self, backend: SlideBackend, copy: Fetched) -> None:
        self._backend, self._copy = backend, copy
        self.name, self.reason = backend.name, backend.reason
        self.properties: Mapping[str, str] = backend.properties
        self.level_shapes, self.tile_shape = backend.level_shapes, backend.tile_shape
        self.associated_images, self.findings = backend.associated_images, backend.findings

    def reductions(self, level: int) -> tuple[int, ...]:
        """Return the factors at which a level can be read, 1 first."""
        return self._backend.reductions(level)

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
        return self._backend.read(level, y, x, height, width, reduction, out)

    def close(self) -> None:
        """Close the copy, and let it be removed where its room is needed."""
        self._backend.close()
        self._copy.close()


def fetched(path: Path) -> Fetched | None:
    """Return the local copy by which a remote slide is to be read; None where by ranges.

    Raises
    ------
    SlideError
        If there is no such file, or it cannot be had.
    """
    remote = look_up(path)
    is_too_large = remote.n_bytes > local_cache().limit_bytes
    is_asked = os.environ.get("DRE_SLCL_REMOTE_READS") == "ranged"
    return None if (is_too_large or is_asked) and _is_tiff(remote) else fetch(path)


def ranged(path: Path) -> TiffBackend:
    """Open a remote TIFF whose tiles are read over the network one by one.

    Raises
    ------
    SlideError
        If its tiles cannot be read without the rest of the file.
    """
    remote = look_up(path)
    name = remote_name(path)
    try:
        with remote_stream(path) as stream:
            levels, properties = page_levels(stream)
    except UnsuitableTiffError as error:
        raise SlideError(
            f"Slide '{name}' cannot be read by ranges: {error}. Give the cache room for the whole "
            "file (DRE_SLCL_CACHE_GIB), or copy it to this machine."
        ) from error
    properties |= _aperio_properties(properties)
    reason = "its tiles are read over the network"
    file = RangedFile(remote)
    return TiffBackend(Path(name), levels, properties, (), reason, file=file)


class RangedFile:
    """A remote file read at any offset by many threads, as a `PositionedFile` is.

    Parameters
    ----------
    remote : RemoteFile
        As its server tells of it.
    """

    def __init__(self, remote: RemoteFile) -> None:
        self._remote = remote
        self._files, self._place = _files_of(remote)
        self._is_closed = False
        self.n_bytes = remote.n_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`, fewer at the end of the file.

        Raises
        ------
        SlideError
            If the file is closed.
        DamagedSlideError
            If the server does not give them.
        """
        self.check_open()
        end = min(offset + count, self.n_bytes)
        if offset >= end:
            return b""
        try:
            with remote_errors(self._remote.url):
                data = self._files.cat_file(self._place, start=offset, end=end)
        except SlideError as error:
            raise DamagedSlideError(str(error)) from error
        return bytes(data)

    def check_open(self) -> None:
        """Raise SlideError if the file is closed."""
        if self._is_closed:
            name = remote_name(self._remote.url)
            raise SlideError(f"Slide '{name}' is closed; open it again to read it.")

    def close(self) -> None:
        """Read no more."""
        self._is_closed = True

    def restart_in_child(self) -> None:
        """Make new connections after a fork; the parent's threads are not there."""
        self._files = _files_of(self._remote, is_new=True)[0]


def _files_of(remote: RemoteFile, *, is_new: bool = False) -> tuple[Any, str]:
    with remote_errors(remote.url):
        files, place = file_system(remote.url)
        if is_new:
            files = type(files)(**files.storage_options, skip_instance_cache=True)
        return files, place


def _is_tiff(remote: RemoteFile) -> bool:
    """Whether a remote file begins as TIFF does, and its server gives ranges."""
    if len(remote.parts) != 1:
        return False
    return RangedFile(remote).read_at(0, 4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _aperio_properties(properties: Mapping[str, str]) -> dict[str, str]:
    """Return what OpenSlide makes of Aperio's description: ``... |MPP = 0.499|AppMag = 20``."""
    description = properties.get("tiff.ImageDescription", "")
    if not description.startswith(_APERIO):
        return {}
    pairs = (field.partition("=") for field in description.split("|")[1:])
    found = {f"aperio.{name.strip()}": value.strip() for name, _, value in pairs}
    found["openslide.vendor"] = "aperio"
    if "aperio.MPP" in found:
        found["openslide.mpp-x"] = found["openslide.mpp-y"] = found["aperio.MPP"]
    if "aperio.AppMag" in found:
        found["openslide.objective-power"] = found["aperio.AppMag"]
    return found
