"""Where the tiles of a SpatialData store lie: squares in a GeoParquet file beside the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_attributes import FARTHEST_PX
from napari_dre_slcl.cohort.plain_parquet import plain_values, read_plain_parquet
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.trial.kinds import PARQUET
from napari_dre_slcl.trial.proof import prove_file
from napari_dre_slcl.untrusted import UntrustedError, inside

__all__ = ["read_boxes"]

# Well-known binary of a box: order of bytes, kind 3 (polygon), 1 ring of 5 points (OGC 06-103r4).
_BOX = np.dtype(
    [("order", "u1"), ("kind", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("xy", "<f8", (5, 2))]
)
_GEOMETRY = "geometry"
_SLIDE = "global"
"""The coordinate system that wsidata takes for pixels of level 0; others may be there too."""


def read_boxes(
    path: Path, group: Any, region: str, key: str, ids: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], int]:
    """Read where some tiles lie.

    Parameters
    ----------
    path : Path
        The store.
    group : zarr.Group
        The same, open.
    region : str
        Name of its shapes, such as ``tiles``.
    key : str
        Column of the tiles' ids; their row numbers where there is none.
    ids : ndarray of int, shape (n,)
        The tiles that are wanted, in their order.

    Returns
    -------
    corners : ndarray
        (n, 2) int64 top-left corners in level-0 pixels, (y, x).
    size_px : int
        Edge of a tile in level-0 pixels.

    Raises
    ------
    UntrustedError
        If a tile is missing, twice, or no square, tiles differ in size, or their coordinates are
        not those of the slide.
    OSError, ValueError
        If the file cannot be read.
    """
    _refuse_transformed(dict(group[f"shapes/{region}"].attrs))
    known, boxes = _boxes(inside(path, "shapes", region, "shapes.parquet"), key)
    order = np.argsort(known, kind="stable")
    ordered = known[order]
    if len(np.unique(known)) < len(known):
        raise UntrustedError(f"two of its shapes '{region}' have one id")
    place = np.minimum(np.searchsorted(ordered, ids), len(ordered) - 1)
    if not len(ordered) or (ordered[place] != ids).any():
        raise UntrustedError(f"its table has tiles that are not among the shapes '{region}'")
    wanted = boxes[order[place]]
    low, high = wanted.min(axis=1), wanted.max(axis=1)
    if not (np.abs(wanted) < FARTHEST_PX).all():
        raise UntrustedError("its tiles lie on no slide")
    size = np.rint((high - low).mean()).astype(int)
    if size < 1 or np.abs(high - low - size).max() > 1:
        raise UntrustedError(f"its shapes '{region}' are no squares of one size")
    return np.rint(low[:, ::-1]).astype(np.int64), int(size)


def _boxes(path: Path, key: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return ids and the (n, 5, 2) points of each box as (x, y)."""
    import pyarrow

    try:
        prove_file(path, PARQUET)
        table = read_plain_parquet(path)
    except (pyarrow.ArrowException, CohortError) as error:
        raise ValueError(f"its shapes are damaged ({error})") from error
    blobs = plain_values(table.column(_GEOMETRY))
    if not all(isinstance(blob, bytes) and len(blob) == _BOX.itemsize for blob in blobs):
        raise UntrustedError("its tiles are no boxes")
    found = np.frombuffer(b"".join(blobs), _BOX)
    is_box = (found["order"] == 1) & (found["kind"] == 3) & (found["rings"] == 1)
    if not (is_box & (found["points"] == 5)).all():
        raise UntrustedError("its tiles are no boxes")
    named = table.column(key).to_numpy() if key in table.column_names else np.arange(len(found))
    if named.dtype.kind not in "iu":
        raise UntrustedError("the ids of its tiles are no whole numbers")
    return named.astype(np.int64), found["xy"]


def _refuse_transformed(attributes: dict[str, Any]) -> None:
    for one in attributes.get("coordinateTransformations", []):
        name = one.get("output", {}).get("name", _SLIDE)
        if name == _SLIDE and one["type"] != "identity":
            raise UntrustedError("its tiles are not in pixels of level 0, they are moved or scaled")
