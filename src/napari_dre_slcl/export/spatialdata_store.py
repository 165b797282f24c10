"""A result as a SpatialData store: the squares of its tiles, and the table that annotates them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_dre_slcl.atomic_file import atomic_folder
from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.anndata_table import ABOUT, make_anndata
from napari_dre_slcl.export.format_libraries import require_library
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.steps import OnStep, no_step
from napari_dre_slcl.results import SlideResult

__all__ = ["SPATIALDATA_SUFFIX", "make_spatialdata", "write_spatialdata"]

SPATIALDATA_SUFFIX = ".spatialdata.zarr"
_TILES, _TABLE = "tiles", "dre_slcl_tiles"
_MICRONS = "micrometers"
_REGION, _INSTANCE = "library_id", "tile_id"


def make_spatialdata(result: SlideResult, look: CodewordLook) -> Any:
    """Return a result in the form of squidpy, LazySlide and napari-spatialdata.

    Parameters
    ----------
    result : SlideResult
        With a tile table; what tells the patient is not taken.
    look : CodewordLook
        Names of the codewords.

    Returns
    -------
    spatialdata.SpatialData
        ``shapes["tiles"]``: a square per tile, ``tile_id``, ``x`` and ``y`` of its top-left corner.
        ``tables["dre_slcl_tiles"]``: the table of `make_anndata`, which annotates them. The
        coordinate system ``global`` is level-0 pixels as (x, y); ``micrometers`` is there where
        the pixel size is known. Names of parts and of keys are those of wsidata.

    Raises
    ------
    ExportError
        If the result has no tiles, or spatialdata is not installed.
    """
    require_library("spatialdata")
    import geopandas
    import shapely
    import spatialdata
    from spatialdata import transformations

    table = make_anndata(result, look)
    n_tiles, size = len(result.rowcol), result.tile_size_px
    top, left = result.tile_yx.T
    ids = np.arange(n_tiles)
    squares = shapely.box(left, top, left + size, top + size)
    shapes = geopandas.GeoDataFrame({_INSTANCE: ids, "x": left, "y": top}, geometry=squares)
    table.obs[_INSTANCE] = ids
    table.obs[_REGION] = _TILES
    table.obs[_REGION] = table.obs[_REGION].astype("category")
    places: dict[str, Any] = {"global": transformations.Identity()}
    if result.mpp is not None:
        places[_MICRONS] = transformations.Scale([result.mpp, result.mpp], axes=("x", "y"))
    models = spatialdata.models
    return spatialdata.SpatialData(
        shapes={_TILES: models.ShapesModel.parse(shapes, transformations=places)},
        tables={
            _TABLE: models.TableModel.parse(
                table, region=_TILES, region_key=_REGION, instance_key=_INSTANCE
            )
        },
        attrs=_attributes(result),
    )


def write_spatialdata(
    result: SlideResult, look: CodewordLook, path: Path, on_step: OnStep = no_step
) -> Path:
    """Write `make_spatialdata` as a folder, whole or not at all.

    Parameters
    ----------
    result : SlideResult
        With a tile table.
    look : CodewordLook
        Names of the codewords.
    path : Path
        Target, ending in ``.zarr``. A store that is there is replaced.
    on_step : callable, optional
        Called with (0, 1) before it is written; may raise to break off.

    Raises
    ------
    ExportError
        As `make_spatialdata`, and where the target is something else.
    OSError
        If it cannot be written.
    """
    if path.exists() and not (path / "zarr.json").is_file():
        raise ExportError(
            f"'{path}' exists and is no Zarr store, so it is not replaced. Choose another folder."
        )
    data = make_spatialdata(result, look)
    on_step(0, 1)
    with atomic_folder(path, replaces=True) as aside:
        aside.rmdir()  # spatialdata makes the folder itself, and no other is taken
        data.write(aside)
    return path


def _attributes(result: SlideResult) -> dict[str, Any]:
    """Say of tiles and slide what wsidata says, so that its stores and ours are read alike."""
    size = result.tile_size_px
    edges = ("height", "width", "stride_height", "stride_width")
    spec = {**dict.fromkeys(edges, size), "mpp": result.mpp, "ops_level": 0, "ops_downsample": 1.0}
    spec |= {"base_level": 0, "base_downsample": 1.0, "tissue_name": None}
    slide = {"shape": list(result.slide_shape), "mpp": result.mpp}
    unit = {"unit": "level-0 pixels"}
    return {"tile_spec": {_TILES: spec}, "slide_properties": slide, ABOUT: unit}
