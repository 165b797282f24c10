"""Tile features out of the stores of LazySlide and wsidata: a SpatialData folder in Zarr.

Looked at: wsidata 0.12.0 (``wsidata/io/_elems.py``, ``add_tiles`` and ``add_features``) and what
it and spatialdata 0.7.3 write. Read by zarr and pyarrow; none of those libraries is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.cohort.feature_layouts import FeatureTable
from napari_dre_slcl.cohort.store_shapes import read_boxes
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.trial.kinds import STORE
from napari_dre_slcl.trial.proof import prove_file
from napari_dre_slcl.untrusted import ZARR_DAMAGE, UntrustedError, check_array, own_size, plain_name

__all__ = ["is_store", "read_store", "try_store"]

_CODECS = {"bytes", "blosc", "zstd", "gzip", "zlib", "lz4", "crc32c", "shuffle", "transpose"}
_SHOWN = 20


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr group, of version 2 or 3."""
    return any((path / name).is_file() for name in ("zarr.json", ".zgroup"))


def read_store(path: Path, table: str = "") -> FeatureTable:
    """Read the tile features of one slide and where its tiles lie.

    Parameters
    ----------
    path : Path
        The store, such as ``slide.zarr``.
    table : str
        Name of the table of features, such as ``uni_tiles``; needed where there are several.

    Returns
    -------
    FeatureTable
        Named after the store; its encoder is called as the table.

    Raises
    ------
    SlideError
        If zarr or pyarrow is not installed, or the store is damaged, has no such table, or tiles
        that are not squares in level-0 pixels.
    """
    try:
        import pyarrow  # noqa: F401
        import zarr
    except ImportError as error:
        raise SlideError(
            f"The store '{path.name}' needs the packages 'zarr' and 'pyarrow'. Install "
            "napari-dre-slcl[zarr,tables]."
        ) from error
    try:
        n_bytes = own_size(path)
        prove_file(path, STORE, detail=f"{_state(path)} {table}")
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        return _read(path, group, table, n_bytes)
    except ZARR_DAMAGE as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise SlideError(
            f"The store '{path}' cannot be read: {reason[:300]}. Give one that LazySlide or "
            "wsidata has written, with tile features."
        ) from error


def try_store(path: Path, detail: str = "") -> None:
    """Unpack the numbers of a store, piece by piece; called in a process that may end by it.

    Parameters
    ----------
    path : Path
        The store.
    detail : str
        What its files were like, and after a space the name of the table.

    Raises
    ------
    MemoryError
        If a piece unpacks to more memory than there is. What else is wrong is told by who reads it
        next.
    """
    import zarr

    try:
        n_bytes = own_size(path)
        group = zarr.open_group(path, mode="r", use_consolidated=False)
        _, stored = _table(group, detail.partition(" ")[2])
        key = plain_name(stored.attrs.get("instance_key"))
        for name in ("X", f"obs/{key}"):
            array = _array(stored, name, "fiu", n_bytes)
            for start in range(0, array.shape[0], array.chunks[0]):
                _ = array[start : start + array.chunks[0]]
    except MemoryError:
        raise
    except ZARR_DAMAGE:
        return


def _state(path: Path) -> str:
    """Return what another state of a store's files would not have."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.rglob("*")):
        facts = file.lstat()
        told = (file.relative_to(path).as_posix(), facts.st_size, facts.st_mtime_ns, facts.st_ino)
        digest.update(repr(told).encode(errors="surrogateescape"))
    return digest.hexdigest()


def _read(path: Path, group: Any, table: str, n_bytes: int) -> FeatureTable:
    name, stored = _table(group, table)
    features = np.asarray(_array(stored, "X", "fiu", n_bytes)[()], np.float32)
    if features.ndim != 2 or 0 in features.shape or not np.isfinite(features).all():
        raise UntrustedError(f"its table '{name}' holds no features, or some are no numbers")
    about = dict(stored.attrs)
    region, key = about.get("region"), about.get("instance_key")
    region = region[0] if isinstance(region, list) and len(region) == 1 else region
    ids = _array(stored, f"obs/{plain_name(key)}", "iu", n_bytes)[()]
    if ids.shape != (len(features),):
        raise UntrustedError(f"its table '{name}' has not one tile for each row")
    corners, size_px = read_boxes(path, group, plain_name(region), str(key), ids)
    spec = _part(_part(dict(group.attrs), "tile_spec"), str(region))
    slide = _part(dict(group.attrs), "slide_properties")
    width, stride = _whole(spec.get("width")), _whole(spec.get("stride_width"))
    return FeatureTable(
        path.name.removesuffix(".zarr"),
        features,
        corners,
        size_px,
        tile_px=width,
        mpp=_amount(spec.get("mpp")),
        slide_mpp=_amount(slide.get("mpp")),
        encoder=name.removesuffix(f"_{region}"),
        slide_shape=_shape(slide.get("shape")),
        overlap_px=max(0, width - stride) if width and stride else 0,
    )


def _table(group: Any, wanted: str) -> tuple[str, Any]:
    """Return the table that is asked for, or the only one."""
    tables = group.get("tables")
    names = [] if tables is None else sorted(tables.group_keys())
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN]) or "none"
    if not names:
        raise UntrustedError("it has no table of features yet")
    if wanted and wanted not in names:
        raise UntrustedError(f"it has no table '{wanted}' but {shown}")
    if not wanted and len(names) != 1:
        raise UntrustedError(f"its tables are {shown}; name the one to read by --table")
    name = wanted or names[0]
    return name, tables[name]


def _array(group: Any, name: str, kinds: str, n_bytes: int) -> Any:
    """Return an array of numbers that a store of so many bytes may hold, not yet read."""
    import zarr

    array = group[name]
    if not isinstance(array, zarr.Array) or array.dtype.kind not in kinds:
        raise UntrustedError(f"'{name}' in it is no plain array of numbers")
    if not _codecs(array.metadata.to_dict()) <= _CODECS:
        raise UntrustedError(f"'{name}' in it is packed in a way that is not known here")
    for shape in (array.shape, array.chunks):
        check_array(shape, array.dtype, n_bytes)
    return array


def _codecs(facts: Mapping[str, Any]) -> set[str]:
    if "codecs" in facts:
        return {str(one["name"]) for one in facts["codecs"]}
    packed = [facts.get("compressor"), *(facts.get("filters") or ())]
    return {str(one["id"]) for one in packed if one is not None}


def _part(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, Mapping) else {}


def _amount(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 < value < 10**6 else None


def _whole(value: Any) -> int | None:
    number = _amount(value)
    return None if number is None else round(number)


def _shape(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    height, width = _whole(value[0]), _whole(value[1])
    return None if height is None or width is None else (height, width)
