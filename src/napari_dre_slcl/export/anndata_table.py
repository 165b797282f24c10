"""Tiles of a result as an AnnData table, as scanpy and squidpy take it: one row per tile."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import atomic_path
from napari_dre_slcl.export.format_libraries import require_library
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.steps import OnStep, no_step
from napari_dre_slcl.export.tile_columns import refuse_without_tiles
from napari_dre_slcl.layers.maps import times_average
from napari_dre_slcl.results import SlideResult

__all__ = ["ABOUT", "make_anndata", "write_h5ad"]

ABOUT = "dre_slcl"
"""Key of ``uns`` under which all that is no column stands."""

_UNIT = "level-0 pixels, (x, y), centres of tiles; the slide's top-left corner is (0, 0)"
_NEUTRAL = ("model_sha256", "method", "encoder", "predicted")


def make_anndata(result: SlideResult, look: CodewordLook) -> Any:
    """Return the tiles of a result as a table.

    Parameters
    ----------
    result : SlideResult
        With a tile table. Neither its name nor its paths are taken: they may tell the patient.
    look : CodewordLook
        Names of the codewords.

    Returns
    -------
    anndata.AnnData
        ``X`` (n, d) float32 tile features, of width 0 where the result has none. ``obs``: ``row``,
        ``col``, ``x_px``, ``y_px`` (top-left corner), ``codeword`` (category), ``attention``
        (1 is the slide's average), ``distance``, ``evidence_TASK_CLASS`` (log-odds).
        ``obsm["spatial"]`` (n, 2) float64 centres as (x, y) in level-0 pixels;
        ``obsm["evidence"]`` (n, m). ``uns["dre_slcl"]``: predictions, slide vector, pixel size.

    Raises
    ------
    ExportError
        If the result has no tiles, or anndata is not installed.
    """
    refuse_without_tiles(result)
    require_library("h5ad")
    import anndata
    import pandas as pd

    n_tiles = len(result.rowcol)
    columns = tile_observations(result)
    obs = pd.DataFrame(columns, index=[str(number) for number in range(n_tiles)])
    if result.n_codewords:
        names = pd.Index(distinct(look.names))
        obs["codeword"] = pd.Categorical.from_codes(result.codeword, names)
    features = result.features
    if features is None or len(features) != n_tiles:
        features = np.empty((n_tiles, 0), np.float32)
    var = pd.DataFrame(index=[f"feature_{number}" for number in range(features.shape[1])])
    table = anndata.AnnData(np.asarray(features, np.float32), obs=obs, var=var)
    table.obsm["spatial"] = centres_xy(result)
    if result.evidence is not None:
        table.obsm["evidence"] = np.asarray(result.evidence, np.float32)
    table.uns[ABOUT] = _about(result, look)
    return table


def write_h5ad(
    result: SlideResult, look: CodewordLook, path: Path, on_step: OnStep = no_step
) -> Path:
    """Write `make_anndata` as ``.h5ad``, whole or not at all.

    Parameters
    ----------
    result : SlideResult
        With a tile table.
    look : CodewordLook
        Names of the codewords.
    path : Path
        Target.
    on_step : callable, optional
        Called with (0, 1) before it is written; may raise to break off.

    Raises
    ------
    ExportError
        As `make_anndata`.
    OSError
        If the file cannot be written.
    """
    table = make_anndata(result, look)
    on_step(0, 1)
    with atomic_path(path) as aside:
        table.write_h5ad(aside, compression="gzip", compression_opts=1)
    return path


def centres_xy(result: SlideResult) -> NDArray[np.float64]:
    """Return the (n, 2) centres of the tiles as (x, y) in level-0 pixels."""
    corners = result.tile_yx[:, ::-1].astype(np.float64)
    return np.asarray(corners + result.tile_size_px / 2)


def tile_observations(result: SlideResult) -> dict[str, NDArray[Any]]:
    """Return the numbers of each tile under names that AnnData and SpatialData take.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    dict of ndarray
        (n,) each; letters, digits, ``_``, ``.`` and ``-`` alone in the names.
    """
    (top, left), (row, col) = result.tile_yx.T, result.rowcol.T
    columns: dict[str, NDArray[Any]] = {
        "row": row,
        "col": col,
        "x_px": left,
        "y_px": top,
        "attention": times_average(result),
    }
    if result.n_codewords:
        columns["distance"] = result.residual_norm
    if result.evidence is not None:
        names = distinct([plain_key(f"evidence_{t}_{c}") for t, c in result.evidence_of])
        columns |= dict(zip(names, result.evidence.T, strict=True))
    return columns


def plain_key(text: str) -> str:
    """Return a text of letters, digits, ``_``, ``.`` and ``-``, as SpatialData wants of names."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text)


def distinct(names: tuple[str, ...] | list[str]) -> list[str]:
    """Return names of which no two are equal: later ones get their number."""
    found: list[str] = []
    for number, name in enumerate(names):
        found.append(name if name not in found else f"{name} ({number + 1})")
    return found


def _about(result: SlideResult, look: CodewordLook) -> dict[str, Any]:
    about: dict[str, Any] = {
        "version": __version__,
        "spatial_unit": _UNIT,
        "tile_size_px": result.tile_size_px,
        "slide_height_px": result.slide_shape[0],
        "slide_width_px": result.slide_shape[1],
        "slide_vector": np.asarray(result.slide_vector, np.float32),
        "predictions": {
            plain_key(one.task): {
                "task": one.task,
                "classes": list(one.classes),
                "probabilities": np.array(one.probabilities, np.float64),
                "predicted": one.predicted,
            }
            for one in result.predictions
        },
        "evidence_of": [f"{task}: {name}" for task, name in result.evidence_of],
        "provenance": {k: v for k, v in result.provenance.items() if k in _NEUTRAL},
    }
    if result.mpp is not None:
        about["mpp"] = result.mpp
    if result.n_codewords:
        about["codewords"] = list(look.names)
        about["codeword_attention"] = np.asarray(result.codeword_attention, np.float32)
    return about
