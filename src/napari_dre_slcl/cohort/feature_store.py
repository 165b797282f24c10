"""Tile features on disk: HDF5 files as TRIDENT and CLAM write them, read and written.

Knows numpy and files, not what made the features. Files hold (x, y); everything here is (y, x).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_attributes import (
    corners_yx,
    plain_attributes,
    tile_mpp,
    tile_size_px,
)
from napari_dre_slcl.cohort.feature_write import FeatureOrigin, write_features
from napari_dre_slcl.cohort.plain_hdf5 import bounded, own_dataset, prove_hdf5, small_attributes
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.remote import fetch, is_remote, remote_folder, remote_stream, shown

__all__ = [
    "FEATURE_SUFFIXES",
    "FeatureFile",
    "FeatureOrigin",
    "StoredFeatures",
    "feature_file",
    "open_features",
    "opened_hdf5",
    "read_coords",
    "read_features",
    "read_rows",
    "write_features",
]

FEATURE_SUFFIXES = (".h5", ".hdf5")

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class FeatureFile:
    """What a feature file holds, without its features.

    The vector of a slide encoder, which stands for a slide as a whole, counts as one tile.

    Parameters
    ----------
    path : Path
        The file.
    n_tiles, dim : int
        Number of tiles, and of numbers for each.
    has_coords : bool
        Whether it says where the tiles lie.
    attrs : dict
        Attributes of the file and its data sets: numbers and text.
    """

    path: Path
    n_tiles: int
    dim: int
    has_coords: bool
    attrs: dict[str, Any]

    @property
    def tile_size_px(self) -> int | None:
        """Edge of a tile in level-0 pixels, None where the file does not say."""
        return tile_size_px(self.attrs)

    @property
    def mpp(self) -> float | None:
        """µm per pixel of a tile; by the magnification (20x is 0.5) where it is not stated."""
        return tile_mpp(self.attrs)


@dataclass(frozen=True, slots=True, eq=False)
class StoredFeatures:
    """The tiles of one slide as a file holds them.

    Parameters
    ----------
    features : ndarray
        (n, d) float32.
    coords_yx : ndarray or None
        (n, 2) int64 top-left corners in level-0 pixels; None where the file has none.
    file : FeatureFile
        Where it was read from.
    """

    features: NDArray[np.float32]
    coords_yx: NDArray[np.int64] | None
    file: FeatureFile


def feature_file(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the feature file of a slide in a folder, None where there is none.

    Parameters
    ----------
    folder : Path
        Where to look, or its URL; folders inside are not searched.
    names : sequence of str
        Names that the file may have, without its suffix; the first that exists wins.
    """
    there = remote_folder(folder) if is_remote(folder) else None
    for name in names:
        for suffix in FEATURE_SUFFIXES:
            path = folder / f"{name}{suffix}"
            if path.name in there if there is not None else path.is_file():
                return path
    return None


def open_features(path: Path) -> FeatureFile:
    """Look at a feature file without reading its features.

    Raises
    ------
    SlideError
        If the file is missing, is no HDF5 file, or holds no table of features.
    """
    with opened_hdf5(path, is_whole=False) as stored:
        return _describe(path, stored)


def read_features(path: str | Path) -> StoredFeatures:
    """Read all features of a file and where their tiles lie.

    Parameters
    ----------
    path : str or Path
        HDF5 file.

    Returns
    -------
    StoredFeatures
        Features (n, d), places (n, 2) where the file has them, and what it says of their
        origin.

    Raises
    ------
    SlideError
        As `open_features`, and where a feature is not a number.
    """
    path = Path(path)
    with opened_hdf5(path) as stored:
        file = _describe(path, stored)
        features = _as_float32(stored["features"][()]).reshape(file.n_tiles, file.dim)
        coords = corners_yx(stored["coords"][()]) if file.has_coords else None
    _check_finite(path, features)
    return StoredFeatures(features, coords, file)


def read_coords(file: FeatureFile) -> NDArray[np.int64] | None:
    """Read where the tiles of a file lie, without its features.

    Returns
    -------
    ndarray or None
        (n, 2) int64 top-left corners in level-0 pixels, (y, x); None where the file has none.

    Raises
    ------
    SlideError
        As `open_features`.
    """
    if not file.has_coords:
        return None
    with opened_hdf5(file.path) as stored:
        return corners_yx(bounded(own_dataset(stored, "coords"), stored)[()])


def read_rows(file: FeatureFile, tiles: NDArray[np.int64]) -> NDArray[np.float32]:
    """Read the features of some tiles.

    Parameters
    ----------
    file : FeatureFile
        As `open_features` gives it.
    tiles : ndarray of int64, shape (n,)
        Numbers of tiles, in any order.

    Returns
    -------
    ndarray of float32, shape (n, dim)

    Raises
    ------
    SlideError
        As `read_features`.
    """
    wanted, place = np.unique(tiles, return_inverse=True)
    if not len(wanted):
        return np.empty((0, file.dim), np.float32)
    first, last = int(wanted[0]), int(wanted[-1])
    with opened_hdf5(file.path) as stored:
        table = own_dataset(stored, "features")
        if table is None:
            raise KeyError("no data set 'features'")
        as_vector = ((file.dim,),) if file.n_tiles == 1 else ()
        shapes = ((file.n_tiles, file.dim), (1, file.n_tiles, file.dim), *as_vector)
        if table.shape not in shapes:
            raise SlideError(f"The feature file '{file.path}' has changed; start again with it.")
        # HDF5 reads a range at once, but a list of rows one by one.
        is_dense = last - first < 8 * len(wanted)
        rows = slice(first, last + 1) if is_dense else wanted
        if table.ndim == 1:
            found = table[()][None][rows]
        else:
            found = table[0, rows] if table.ndim == 3 else table[rows]
    features = _as_float32(found)[wanted - first if is_dense else slice(None)]
    _check_finite(file.path, features)
    return np.asarray(features[place])


@contextmanager
def opened_hdf5(path: Path, *, is_whole: bool = True) -> Iterator[Any]:
    """Open a file to read; what HDF5 complains of inside the block becomes a `SlideError`.

    Parameters
    ----------
    path : Path
        The file, or its URL.
    is_whole : bool
        Whether most of it is to be read.

    Notes
    -----
    Of a remote file a local copy is read, or, where little of it is wanted, that over the network.
    """
    try:
        with ExitStack() as opened:
            target: Any = path
            if not is_remote(path):
                prove_hdf5(path)
            else:
                how = fetch(path) if is_whole else remote_stream(path)
                copy = opened.enter_context(how)
                target = copy.path if is_whole else copy
            options = {} if target is not path and not is_whole else {"locking": "best-effort"}
            yield opened.enter_context(h5py.File(target, "r", **options))
    except FileNotFoundError as error:
        raise SlideError(f"The feature file '{shown(path)}' does not exist.") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).strip("'\"").splitlines()[0] if str(error) else "no reason given"
        raise SlideError(
            f"The feature file '{shown(path)}' cannot be read, it is damaged or no HDF5 file of "
            f"features ({reason}). Make it again, or leave its slide out of the cohort table."
        ) from error


def _describe(path: Path, stored: Any) -> FeatureFile:
    table = own_dataset(stored, "features")
    if not isinstance(table, h5py.Dataset):
        found = ", ".join(f"'{name}'" for name in islice(stored, _SHOWN)) or "nothing"
        raise SlideError(
            f"The feature file '{path}' has no data set 'features', it holds {found}. Give files "
            "as TRIDENT or CLAM write them."
        )
    shape = table.shape[1:] if table.ndim == 3 and table.shape[0] == 1 else table.shape
    if len(shape) == 1:  # TRIDENT takes the axes of length 1 from the vectors of slides
        shape = (1, *shape)
    if len(shape) != 2 or 0 in shape or table.dtype.kind not in "fiu":
        raise SlideError(
            f"The features of '{path}' are a {table.dtype} array of shape {table.shape}; a table "
            "of numbers with one row per tile, or the vector of a slide, is needed."
        )
    bounded(table, stored)
    coords = own_dataset(stored, "coords")
    has_coords = isinstance(coords, h5py.Dataset) and not _is_of_slide(table, shape, coords)
    if has_coords and coords.shape not in ((shape[0], 2), (1, shape[0], 2)):
        raise SlideError(
            f"The feature file '{path}' has {shape[0]:,} features but coordinates of shape "
            f"{coords.shape}; make it again."
        )
    if has_coords:
        bounded(coords, stored)
    attrs: dict[str, Any] = {}
    for item in (stored, table, *([coords] if has_coords else [])):
        attrs |= small_attributes(item)
    return FeatureFile(path, int(shape[0]), int(shape[1]), has_coords, plain_attributes(attrs))


def _is_of_slide(table: Any, shape: tuple[int, ...], coords: Any) -> bool:
    """Whether one vector stands for all places that a file names: that of a slide encoder."""
    return table.ndim == 1 or (shape[0] == 1 and coords.shape not in ((1, 2), (1, 1, 2)))


def _as_float32(values: Any) -> NDArray[np.float32]:
    """Return numbers as float32; what is too large for that becomes inf, and is refused later."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def _check_finite(path: Path, features: NDArray[np.float32]) -> None:
    bad = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
    if bad:
        raise SlideError(
            f"The feature file '{path}' has {bad:,} tiles whose features are not numbers. Make it "
            "again, or leave its slide out of the cohort table."
        )
