"""Features in the layouts of other tools: TRIDENT's and CLAM's HDF5 files.

Looked at: TRIDENT's ``trident/IO.py`` (``save_h5``, ``coords_to_h5``) and
``trident/wsi_objects/WSI.py`` (``extract_patch_features``, ``extract_slide_features``); CLAM's
``extract_features_fp.py`` and ``utils/file_utils.py`` (``save_hdf5``).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.cohort.feature_write import packed
from napari_dre_slcl.errors import SlideError

__all__ = ["FeatureTable", "write_clam", "write_trident"]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Features of one slide and all that is known of them.

    Parameters
    ----------
    name : str
        Of the slide; its files are called so.
    features : ndarray
        (n, d) float32, one row per tile.
    coords_yx : ndarray or None
        (n, 2) int64 top-left corners in level-0 pixels; None where they are not known, and for the
        vector of a slide.
    size_px : int or None
        Edge of a tile in level-0 pixels.
    tile_px : int or None
        Edge of a tile as its encoder was given it, in pixels of ``mpp``.
    mpp, slide_mpp : float or None
        µm per pixel of a tile, and of level 0.
    encoder : str
        Name of the tile encoder; empty where it is not known.
    encoder_sha256 : str
        Hash of its weights and input scaling, where we made the features.
    slide_shape : tuple of int or None
        (height, width) of the slide in level-0 pixels.
    overlap_px : int
        Overlap of neighbouring tiles in pixels of ``mpp``.
    """

    name: str
    features: NDArray[np.float32]
    coords_yx: NDArray[np.int64] | None = None
    size_px: int | None = None
    tile_px: int | None = None
    mpp: float | None = None
    slide_mpp: float | None = None
    encoder: str = ""
    encoder_sha256: str = ""
    slide_shape: tuple[int, int] | None = None
    overlap_px: int = 0


def write_trident(table: FeatureTable, folder: Path) -> Path:
    """Write ``NAME.h5`` as TRIDENT does: data sets ``features`` and ``coords``, with attributes.

    What is not known is left out; TRIDENT's slide encoders ask for ``patch_size_level0``. Two
    attributes are ours: ``mpp`` and ``level0_mpp``, exact where the magnifications are not.

    Parameters
    ----------
    table : FeatureTable
        The features; coordinates become (x, y) int64.
    folder : Path
        Gets the file; one of that name is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SlideError
        If the file cannot be written.
    """
    height, width = table.slide_shape or (None, None)
    about = {
        "name": table.name,
        "patch_size": table.tile_px or _tile_px(table),
        "patch_size_level0": table.size_px,
        "level0_magnification": _magnification(table.slide_mpp),
        "target_magnification": _magnification(table.mpp),
        "overlap": table.overlap_px,
        "level0_width": width,
        "level0_height": height,
        "level0_mpp": table.slide_mpp,
        "mpp": table.mpp,
    }
    features = {
        "name": table.name,
        "encoder": table.encoder or None,
        "encoder_sha256": table.encoder_sha256 or None,
    }
    return _write(table, folder / f"{table.name}.h5", np.int64, features, about)


def write_clam(table: FeatureTable, folder: Path) -> Path:
    """Write ``h5_files/NAME.h5`` as CLAM does: ``features`` float32 and ``coords`` int32.

    CLAM's own feature files have no attributes. Where the size of a tile is known it is told in
    those that CLAM gives to its files of coordinates, with level 0: no reader of CLAM minds.

    Parameters
    ----------
    table : FeatureTable
        The features; coordinates become (x, y).
    folder : Path
        CLAM's ``feat_dir``; a file of that name in it is replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SlideError
        If the file cannot be written, or the places of the tiles are not known.
    """
    if table.coords_yx is None:
        raise SlideError(
            f"The features of '{table.name}' have no coordinates, which CLAM's files need. Give "
            "the folder of coordinate files by --coords, or write TRIDENT's layout."
        )
    about: dict[str, Any] = {"patch_size": table.size_px, "name": table.name}
    if table.size_px is not None:
        about |= {"patch_level": 0, "downsample": np.ones(2)}
    path = folder / "h5_files" / f"{table.name}.h5"
    return _write(table, path, np.int32, {}, about)


def _write(
    table: FeatureTable,
    path: Path,
    kind: type[np.signedinteger[Any]],
    of_features: dict[str, Any],
    of_coords: dict[str, Any],
) -> Path:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as stored:
        _describe(packed(stored, "features", np.asarray(table.features, np.float32)), of_features)
        if table.coords_yx is not None:
            corners = np.asarray(table.coords_yx, kind)[:, ::-1]
            _describe(packed(stored, "coords", corners), of_coords)
    try:
        with atomic_writer(path) as stream:
            stream.write(buffer.getbuffer())
    except OSError as error:
        raise SlideError(f"The features '{path}' cannot be written: {error.strerror}.") from error
    return path


def _describe(dataset: Any, attributes: dict[str, Any]) -> None:
    known = {name: value for name, value in attributes.items() if value is not None}
    dataset.attrs.update(known)


def _tile_px(table: FeatureTable) -> int | None:
    if table.size_px is None or table.mpp is None or table.slide_mpp is None:
        return table.size_px
    return round(table.size_px * table.slide_mpp / table.mpp)


def _magnification(mpp: float | None) -> int | float | None:
    """Return what TRIDENT calls 20 at 0.5 µm; a whole number where it is one."""
    if mpp is None:
        return None
    exact = 10 / mpp
    return round(exact) if abs(exact - round(exact)) < 1e-6 else exact
