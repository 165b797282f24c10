"""An OME-Zarr that this plugin has written, as napari layers at its place on the slide.

Only such: others belong to the readers made for them, and some of those know no translation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.format_libraries import require_library
from napari_dre_slcl.layers import LayerData, map_colormap
from napari_dre_slcl.untrusted import ZARR_DAMAGE, UntrustedError, check_array, own_size, read_json

__all__ = ["is_our_ome_zarr", "read_ome_zarr"]

_CREATOR = "napari-dre-slcl"
_CODECS = {"bytes", "blosc", "zstd", "gzip", "crc32c"}


def is_our_ome_zarr(path: Path) -> bool:
    """Whether a folder is an OME-Zarr that `write_ome_zarr` wrote."""
    try:
        facts = read_json(path / "zarr.json")
        return bool(facts["attributes"]["ome"]["_creator"]["name"] == _CREATOR)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_ome_zarr(path: Path) -> list[LayerData]:
    """Read maps and codewords.

    Parameters
    ----------
    path : Path
        As `write_ome_zarr` wrote it.

    Returns
    -------
    list of tuple
        Codewords first, then one image per map, of which the first is visible.

    Raises
    ------
    ExportError
        If zarr is not installed or the folder is damaged.
    """
    require_library("ome-zarr")
    import zarr

    try:
        n_bytes = own_size(path)
        group = zarr.open_group(path, mode="r", zarr_format=3)
        return [*_labels(group, n_bytes), *_images(group, n_bytes)]
    except ZARR_DAMAGE as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:300]
        raise ExportError(
            f"The OME-Zarr '{path}' is damaged: {reason}. Export it again."
        ) from error


def _labels(group: Any, n_bytes: int) -> list[LayerData]:
    if "labels/codewords" not in group:
        return []
    labels = group["labels/codewords"]
    facts = labels.attrs["ome"]
    clear = np.zeros(4, np.float32)
    colors: dict[int | None, Any] = {None: clear, 0: clear}
    for one in facts["image-label"]["colors"]:
        colors[one["label-value"]] = np.array(one["rgba"], np.float32) / 255
    names = [one["name"] for one in facts["image-label"]["properties"]]
    options = {
        "name": "codewords",
        "colormap": colors,
        "opacity": 0.45,
        "features": {"codeword": ["no tile", *names]},
        **_place(facts["multiscales"][0]),
    }
    return [(_array(labels, n_bytes, "iu"), options, "labels")]


def _images(group: Any, n_bytes: int) -> list[LayerData]:
    facts = group.attrs["ome"]
    values = _array(group, n_bytes, "f")
    kinds = facts["_creator"]["kinds"]
    layers: list[LayerData] = []
    for number, (channel, kind) in enumerate(zip(facts["omero"]["channels"], kinds, strict=True)):
        options = {
            "name": channel["label"],
            "colormap": map_colormap(kind),
            "contrast_limits": (channel["window"]["start"], channel["window"]["end"]),
            "opacity": 0.8,
            "blending": "translucent",
            "interpolation2d": "nearest",
            "rgb": False,
            "visible": bool(channel["active"]),
            **_place(facts["multiscales"][0]),
        }
        layers.append((values[number], options, "image"))
    return layers


def _array(group: Any, n_bytes: int, kinds: str) -> NDArray[Any]:
    """Read the full resolution, which a file of so many bytes may hold."""
    import zarr

    array = group["0"]
    if not isinstance(array, zarr.Array) or array.dtype.kind not in kinds:
        raise UntrustedError("it has no array of numbers")
    codecs = {str(one["name"]) for one in array.metadata.to_dict()["codecs"]}
    if not codecs <= _CODECS:
        raise UntrustedError(f"it is packed by {', '.join(sorted(codecs - _CODECS))}")
    for shape in (array.shape, array.chunks):
        check_array(shape, array.dtype, n_bytes)
    return np.asarray(array)


def _place(multiscale: dict[str, Any]) -> dict[str, Any]:
    """Return scale, translation and units of the last two axes."""
    scale, shift = multiscale["datasets"][0]["coordinateTransformations"]
    axes = multiscale["axes"][-2:]
    units = tuple("um" if axis.get("unit") == "micrometer" else "pixel" for axis in axes)
    return {
        "scale": tuple(scale["scale"][-2:]),
        "translate": tuple(shift["translation"][-2:]),
        "units": units,
        "axis_labels": ("y", "x"),
    }
