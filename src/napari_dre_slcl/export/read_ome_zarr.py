"""An OME-Zarr that this plugin has written, as napari layers at its place on the slide.

Only such: others belong to the readers made for them, and some of those know no translation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.layers import LayerData, map_colormap
from napari_dre_slcl.untrusted import read_json

__all__ = ["is_our_ome_zarr", "read_ome_zarr"]

_CREATOR = "napari-dre-slcl"


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
    try:
        import zarr
    except ImportError as error:
        raise ExportError(
            "OME-Zarr needs the package 'zarr', which is not installed. Install "
            "napari-dre-slcl[zarr]."
        ) from error
    try:
        group = zarr.open_group(path, mode="r")
        return [*_labels(group), *_images(group)]
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise ExportError(f"The OME-Zarr '{path}' is damaged: {error}. Export it again.") from error


def _labels(group: Any) -> list[LayerData]:
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
    return [(np.asarray(labels["0"]), options, "labels")]


def _images(group: Any) -> list[LayerData]:
    facts = group.attrs["ome"]
    values = np.asarray(group["0"])
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
