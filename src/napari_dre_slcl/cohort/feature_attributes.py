"""What the attributes of feature files say: TRIDENT's, CLAM's and our own.

Knows names and numbers, no files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

__all__ = ["FARTHEST_PX", "corners_yx", "plain_attributes", "tile_mpp", "tile_size_px"]

FARTHEST_PX = 10**8
"""A hundred times as far as any scanner sees."""

_NONE = "None"
"""As TRIDENT writes what it does not know (``trident/IO.py``, ``save_h5``)."""


def corners_yx(coords: Any) -> NDArray[np.int64]:
    """Return stored (x, y) corners as (n, 2) whole numbers, (y, x).

    Raises
    ------
    ValueError
        If they are no places on a slide.
    """
    xy = np.asarray(coords).reshape(-1, 2)
    if not (np.abs(xy.astype(np.float64)) < FARTHEST_PX).all():
        raise ValueError("its coordinates are no places on a slide")
    return np.asarray(np.rint(xy[:, ::-1]), np.int64)


def plain_attributes(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers and text of HDF5 attributes as Python has them.

    Parameters
    ----------
    attrs : mapping
        As h5py gives them. Arrays are left out, but for CLAM's ``downsample``, of which the first
        of two equal numbers is taken.
    """
    plain: dict[str, Any] = {}
    for name, value in attrs.items():
        if isinstance(value, np.ndarray) and (value.size == 1 or name == "downsample"):
            value = value.flat[0]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        if isinstance(value, str | int | float) and value != _NONE:
            plain[name] = value
    return plain


def tile_size_px(attrs: Mapping[str, Any]) -> int | None:
    """Return the edge of a tile in level-0 pixels, None where the attributes do not say."""
    size = attrs.get("patch_size_level0")
    if size is None:
        size = _clam_size(attrs)
    return int(size) if _is_amount(size) and 1 <= size < FARTHEST_PX else None


def tile_mpp(attrs: Mapping[str, Any]) -> float | None:
    """Return µm per pixel of a tile; by the magnification (20x is 0.5) where it is not stated."""
    if _is_amount(attrs.get("mpp")):
        return float(attrs["mpp"])
    magnification = attrs.get("target_magnification")
    return 10 / float(magnification) if _is_amount(magnification) else None


def _clam_size(attrs: Mapping[str, Any]) -> float | None:
    """Return the edge of a tile at level 0 as CLAM tells it: in pixels of a level.

    ``patch_size`` pixels of ``patch_level``, whose ``downsample`` is that of the file and so no
    whole number (``wsi_core/WholeSlideImage.py``, ``process_contour``).
    """
    size, downsample = attrs.get("patch_size"), attrs.get("downsample", 1)
    if "patch_level" not in attrs or not _is_amount(size) or not _is_amount(downsample):
        return None
    if "downsample" not in attrs and attrs["patch_level"] != 0:
        return None
    custom = attrs.get("custom_downsample", 1)
    return size * max(1, round(downsample)) * (custom if _is_amount(custom) else 1)


def _is_amount(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and 0 < value < math.inf
