"""Maps of a result as OME-Zarr: one float image with a channel per map, codewords as labels.

OME-NGFF 0.5. One cell per tile; scale and translation put it on the slide, in µm where the pixel
size is known. The centre of level-0 pixel (0, 0) is the origin, as in napari.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import atomic_folder
from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.format_libraries import require_library
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.map_colors import highest_color
from napari_dre_slcl.export.steps import OnStep, no_step
from napari_dre_slcl.export.tile_columns import refuse_without_tiles
from napari_dre_slcl.layers import grid_transform
from napari_dre_slcl.layers.maps import TileMap, available_maps
from napari_dre_slcl.results import SlideResult

__all__ = ["OME_ZARR_SUFFIX", "write_ome_zarr"]

OME_ZARR_SUFFIX = ".ome.zarr"
_VERSION = "0.5"
_CHUNK = 1024


def write_ome_zarr(
    result: SlideResult, look: CodewordLook, path: Path, on_step: OnStep = no_step
) -> Path:
    """Write the maps of a result to a folder, whole or not at all.

    Parameters
    ----------
    result : SlideResult
        With a tile table.
    look : CodewordLook
        Names and colours of the codewords.
    path : Path
        Target; ends in ``.ome.zarr`` by custom. An OME-Zarr that is there is replaced.
    on_step : callable, optional
        Called with (maps done, maps in all); may raise to break off.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ExportError
        If the result has no tiles, zarr is not installed, or the target is something else.
    OSError
        If it cannot be written.
    """
    refuse_without_tiles(result)
    _refuse_other_folder(path)
    with atomic_folder(path, replaces=True) as aside:
        _write(result, look, aside, on_step)
    return path


def _refuse_other_folder(path: Path) -> None:
    if path.exists() and not (path / "zarr.json").is_file():
        raise ExportError(
            f"'{path}' exists and is no OME-Zarr, so it is not replaced. Choose another folder."
        )


def _write(result: SlideResult, look: CodewordLook, folder: Path, on_step: OnStep) -> None:
    require_library("ome-zarr")
    import zarr

    maps = [choice.make() for choice in available_maps(result)]
    group = zarr.create_group(folder, zarr_format=3, overwrite=True)
    group.attrs["ome"] = _image_facts(result, maps)
    chunks = tuple(min(_CHUNK, size) for size in result.grid_shape)
    image = group.create_array(
        "0",
        shape=(len(maps), *result.grid_shape),
        chunks=(1, *chunks),
        dtype="float32",
        fill_value=float("nan"),
        dimension_names=("c", "y", "x"),
    )
    for number, tile_map in enumerate(maps):
        on_step(number, len(maps))
        image[number] = result.raster(tile_map.values, fill=np.nan)
    if result.n_codewords:
        _write_labels(group, result, look, chunks)


def _write_labels(
    group: Any, result: SlideResult, look: CodewordLook, chunks: tuple[int, ...]
) -> None:
    labels = group.create_group("labels")
    labels.attrs["ome"] = {"version": _VERSION, "labels": ["codewords"]}
    codewords = labels.create_group("codewords")
    numbers = range(result.n_codewords)
    codewords.attrs["ome"] = {
        "version": _VERSION,
        "multiscales": [_multiscale(result, "codewords", has_channels=False)],
        "image-label": {
            "colors": [{"label-value": n + 1, "rgba": [*look.rgb(n), 255]} for n in numbers],
            "properties": [{"label-value": n + 1, "name": look.names[n]} for n in numbers],
            "source": {"image": "../../"},
        },
    }
    raster: NDArray[Any] = result.raster((result.codeword + 1).astype(np.uint16))
    array = codewords.create_array(
        "0",
        shape=raster.shape,
        chunks=chunks,
        dtype="uint16",
        fill_value=0,
        dimension_names=("y", "x"),
    )
    array[:] = raster


def _image_facts(result: SlideResult, maps: list[TileMap]) -> dict[str, Any]:
    channels = []
    for number, one in enumerate(maps):
        low, high = one.limits
        channels.append(
            {
                "label": one.label,
                "color": highest_color(one),
                "active": number == 0,
                "window": {
                    "min": one.extremes[0],
                    "max": one.extremes[1],
                    "start": low,
                    "end": high,
                },
            }
        )
    return {
        "version": _VERSION,
        "multiscales": [_multiscale(result, "maps", has_channels=True)],
        "omero": {"channels": channels, "rdefs": {"model": "color"}},
        "_creator": {
            "name": "napari-dre-slcl",
            "version": __version__,
            "kinds": [one.kind for one in maps],
        },
    }


def _multiscale(result: SlideResult, name: str, *, has_channels: bool) -> dict[str, Any]:
    place = grid_transform(result.tile_size_px, result.mpp)
    unit = {} if result.mpp is None else {"unit": "micrometer"}
    axes: list[dict[str, str]] = [{"name": axis, "type": "space"} | unit for axis in ("y", "x")]
    scale, shift = [*place["scale"]], [*place["translate"]]
    if has_channels:
        axes.insert(0, {"name": "c", "type": "channel"})
        scale.insert(0, 1.0)
        shift.insert(0, 0.0)
    transforms = [
        {"type": "scale", "scale": scale},
        {"type": "translation", "translation": shift},
    ]
    return {
        "name": name,
        "axes": axes,
        "datasets": [{"path": "0", "coordinateTransformations": transforms}],
    }
