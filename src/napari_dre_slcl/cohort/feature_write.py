"""Write the features of a slide's tiles as TRIDENT does: HDF5, in packed pieces of some rows."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import SlideError

__all__ = ["FeatureOrigin", "packed", "write_features"]

_PIECE_BYTES = 2**16
"""Smaller pieces are read slower as a whole, larger ones where a few rows are wanted."""


@dataclass(frozen=True, slots=True)
class FeatureOrigin:
    """What features were made from; equal origins and places give equal features.

    Parameters
    ----------
    encoder : str
        Name of the tile encoder.
    encoder_sha256 : str
        Hash of its weights and input scaling.
    mpp : float
        µm per pixel of a tile.
    tile_px : int
        Edge of a tile in pixels of that size.
    """

    encoder: str
    encoder_sha256: str
    mpp: float
    tile_px: int


def write_features(
    path: Path,
    features: NDArray[np.floating[Any]],
    coords_yx: NDArray[np.int64],
    origin: FeatureOrigin,
    size_px: int,
    slide_mpp: float,
) -> Path:
    """Write features in TRIDENT's layout, whole or not at all.

    Parameters
    ----------
    path : Path
        Target; named after the slide, ending in ``.h5``.
    features : ndarray, shape (n, d)
        One row per tile; stored as float32.
    coords_yx : ndarray of int64, shape (n, 2)
        Top-left corners in level-0 pixels; stored as (x, y).
    origin : FeatureOrigin
        What made them.
    size_px : int
        Edge of a tile in level-0 pixels.
    slide_mpp : float
        µm per level-0 pixel.

    Raises
    ------
    SlideError
        If the file cannot be written.
    """
    about: dict[str, Any] = {
        "name": path.stem,
        "patch_size": origin.tile_px,
        "patch_size_level0": size_px,
        "level0_magnification": 10 / slide_mpp,
        "target_magnification": 10 / origin.mpp,
        "overlap": 0,
        "level0_mpp": slide_mpp,
        "mpp": origin.mpp,
    }
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as stored:
        table = packed(stored, "features", np.asarray(features, np.float32))
        table.attrs["name"] = path.stem
        table.attrs["encoder"] = origin.encoder
        table.attrs["encoder_sha256"] = origin.encoder_sha256
        coords = packed(stored, "coords", np.asarray(coords_yx, np.int64)[:, ::-1])
        coords.attrs.update(about)
    try:
        with atomic_writer(path) as stream:
            stream.write(buffer.getbuffer())
    except OSError as error:
        raise SlideError(f"The features '{path}' cannot be written: {error.strerror}.") from error
    return path


def packed(stored: Any, name: str, values: NDArray[Any]) -> Any:
    """Add a table to an HDF5 file in pieces that any reader unpacks: shuffled bytes, deflate.

    Parameters
    ----------
    stored : h5py.File
        Open to write.
    name : str
        Of the data set.
    values : ndarray, shape (n, d)
        Its rows.

    Notes
    -----
    Stronger deflate saves one part in a hundred more and takes longer; lzf, which h5py alone
    reads, saves half as much.
    """
    if not len(values):
        return stored.create_dataset(name, data=values)
    row_bytes = max(1, values[0].nbytes)
    piece = (min(len(values), max(1, _PIECE_BYTES // row_bytes)), values.shape[1])
    return stored.create_dataset(
        name, data=values, chunks=piece, shuffle=True, compression="gzip", compression_opts=1
    )
