"""Slides and results as napari LayerData tuples, without importing napari.

All layers of a slide share its world: µm where the pixel size is known, level-0 pixels where not,
with the centre of level-0 pixel (0, 0) at the origin, as napari has it.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.slide.damage import log_damage
from napari_dre_slcl.slide.pyramid import slide_pyramid
from napari_dre_slcl.tiles import TileGrid, TileStatus

__all__ = [
    "METADATA_KEY",
    "attention_colormap",
    "attention_layer",
    "cluster_layer",
    "codeword_colors",
    "codeword_name",
    "codeword_shares",
    "grid_transform",
    "mask_layer",
    "slide_layer",
    "tissue_layer",
    "world_transform",
]

METADATA_KEY = "dre_slcl"
"""Key in a layer's ``metadata`` under which the facts of our layers lie."""

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels"]]

# Far apart from each other and from the pinks of H&E.
# fmt: off
_PALETTE = (
    "#0072b2", "#f5c000", "#009e60", "#e25822", "#6a3d9a", "#56b4e9", "#b3001b", "#a6d854",
    "#8c510a", "#00c9a7", "#f781bf", "#3b3fb6", "#d9a441", "#2f6b3a", "#c994ff", "#7f7f7f",
)
# fmt: on
_GOLDEN_RATIO = 0.618034
# 1 is a tile that is used.
_TISSUE_COLORS = {
    1: "#009e60",
    TileStatus.PEN.value: "#0072b2",
    TileStatus.BLUR.value: "#6a6a6a",
    TileStatus.FOLD.value: "#e67800",
    TileStatus.DAMAGED.value: "#000000",
}
# Name and colour of each value of a mask that may be painted on; what was painted stands out.
_MASK_CLASSES = (
    ("glass", "#ffffff"),
    ("tissue", "#009e60"),
    ("pen", "#0072b2"),
    ("fold", "#e67800"),
    ("painted: no tissue", "#d1006b"),
    ("painted: tissue", "#00e5a0"),
    ("painted: pen", "#56b4e9"),
    ("painted: fold", "#f5c000"),
)
_ATTENTION_PERCENTILE = 99.0
_LEAST_ATTENTION_TOP = 2.0  # so that even attention, 1 everywhere, does not look like a peak
# Red, green, blue, alpha from no attention to the most.
_ATTENTION_STOPS = (
    (0.16, 0.04, 0.36, 0.0),
    (0.34, 0.06, 0.43, 0.3),
    (0.74, 0.22, 0.33, 0.75),
    (0.98, 0.56, 0.04, 0.95),
    (0.99, 1.00, 0.64, 1.0),
)


def codeword_colors(n_codewords: int) -> NDArray[np.float32]:
    """Return one colour per codeword; the first 16 are fixed, so that results look alike.

    Parameters
    ----------
    n_codewords : int
        K.

    Returns
    -------
    ndarray
        (K, 4) float32 RGBA in 0-1, opaque.
    """
    fixed = [_rgb(color) for color in _PALETTE]
    rest = [
        list(
            colorsys.hsv_to_rgb((i * _GOLDEN_RATIO) % 1, 0.55 + 0.4 * (i % 2), 0.6 + 0.13 * (i % 4))
        )
        for i in range(max(0, n_codewords - len(fixed)))
    ]
    rgb = np.array((fixed + rest)[:n_codewords], dtype=np.float32)
    return np.concatenate([rgb, np.ones((n_codewords, 1), dtype=np.float32)], axis=1)


def _rgb(color: str) -> list[float]:
    """Return a colour such as #0072b2 as numbers of 0-1."""
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def codeword_name(codeword: int) -> str:
    """Return the name of codeword number ``codeword`` (from 0) as shown to the user."""
    return f"Codeword {codeword + 1}"


def codeword_shares(result: SlideResult) -> NDArray[np.float64]:
    """Return which share of the slide's tiles each codeword has, shape (K,)."""
    counts = np.bincount(result.codeword, minlength=result.n_codewords)
    return counts / max(1, len(result.codeword))


def world_transform(mpp: float | None) -> dict[str, Any]:
    """Return scale, units and axis labels of a slide's level 0.

    Parameters
    ----------
    mpp : float or None
        µm per level-0 pixel; None draws in pixels.

    Returns
    -------
    dict
        Keyword arguments of a napari layer.
    """
    unit = "pixel" if mpp is None else "um"
    size = mpp or 1.0
    return {"scale": (size, size), "units": (unit, unit), "axis_labels": ("y", "x")}


def grid_transform(tile_size_px: float, mpp: float | None) -> dict[str, Any]:
    """Return the same for a raster with one cell per tile.

    napari puts a pixel's centre at its index, so a cell of t pixels has its centre at (t - 1) / 2
    of them: without that shift the raster would lie half a tile off.

    Parameters
    ----------
    tile_size_px : float
        Edge of a cell in level-0 pixels.
    mpp : float or None
        µm per level-0 pixel.

    Returns
    -------
    dict
        Keyword arguments of a napari layer.
    """
    size = mpp or 1.0
    shift = (tile_size_px - 1) / 2 * size
    cell = tile_size_px * size
    return world_transform(mpp) | {"scale": (cell, cell), "translate": (shift, shift)}


def slide_layer(slide: Slide, on_damage: Callable[[str], None] = log_damage) -> LayerData:
    """Return a slide as one lazy multiscale RGB image.

    Parameters
    ----------
    slide : Slide
        Kept open by the layer, and closed when the layer is gone and nobody else keeps it.
    on_damage : callable, optional
        Gets one sentence when pixels that cannot be decoded are first drawn, in white; it may be
        called from any thread. By default the sentence goes to the log.

    Returns
    -------
    tuple
        (levels, keyword arguments, "image").
    """
    info = slide.info
    facts = {"kind": "slide", "path": info.path, "info": info, "mpp": info.mpp}
    return (
        slide_pyramid(slide, on_damage=on_damage),
        {
            "name": Path(info.path).stem,
            "rgb": True,
            "multiscale": True,
            "contrast_limits": (0, 255),
            "metadata": {METADATA_KEY: facts},
            **world_transform(info.mpp),
        },
        "image",
    )


def cluster_layer(result: SlideResult) -> LayerData:
    """Return the codeword of each tile as labels on the tile grid, value = codeword + 1.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    tuple
        ((rows, columns) uint16 raster, keyword arguments, "labels").
    """
    raster = result.raster((result.codeword + 1).astype(np.uint16), fill=0)
    clear = np.zeros(4, dtype=np.float32)
    colors: dict[int | None, NDArray[np.float32]] = {None: clear, 0: clear}
    colors |= {i + 1: color for i, color in enumerate(codeword_colors(result.n_codewords))}
    names = [codeword_name(i) for i in range(result.n_codewords)]
    shares = codeword_shares(result)
    return (
        raster,
        {
            "name": f"{result.slide_id} · clusters",
            "colormap": colors,
            "opacity": 0.45,
            "features": {
                "codeword": ["no tile", *names],
                "share": [0.0, *shares.tolist()],
            },
            "metadata": {METADATA_KEY: _overlay_facts("clusters", result)},
            **grid_transform(result.tile_size_px, result.mpp),
        },
        "labels",
    )


def attention_layer(result: SlideResult) -> LayerData:
    """Return the attention of each tile on the tile grid, as multiples of the slide's average.

    1 is a tile that gets as much attention as the average tile; cells without a tile are NaN, which
    napari draws as nothing. The colours grow opaque with attention, so that the slide stays visible
    where the model did not look.

    Parameters
    ----------
    result : SlideResult
        Of any slide.

    Returns
    -------
    tuple
        ((rows, columns) float32 raster, keyword arguments, "image").
    """
    times_average = (result.attention * len(result.attention)).astype(np.float32)
    top = float(np.percentile(times_average, _ATTENTION_PERCENTILE)) if times_average.size else 1.0
    return (
        result.raster(times_average, fill=np.nan),
        {
            "name": f"{result.slide_id} · attention (x average)",
            "colormap": attention_colormap(),
            "contrast_limits": (0.0, max(top, _LEAST_ATTENTION_TOP)),
            "opacity": 0.8,
            "blending": "translucent",
            "interpolation2d": "nearest",
            "rgb": False,
            "metadata": {METADATA_KEY: _overlay_facts("attention", result)},
            **grid_transform(result.tile_size_px, result.mpp),
        },
        "image",
    )


def attention_colormap() -> dict[str, Any]:
    """Return a dark-to-bright colour ramp that grows opaque, in the form that napari takes."""
    return {"name": "dre-slcl attention", "colors": np.array(_ATTENTION_STOPS, dtype=np.float32)}


def tissue_layer(name: str, grid: TileGrid) -> LayerData:
    """Return the tiles of a slide as labels on the tile grid, coloured by why they are left out.

    Parameters
    ----------
    name : str
        Of the slide.
    grid : TileGrid
        Of the slide.

    Returns
    -------
    tuple
        ((rows, columns) uint8 raster, keyword arguments, "labels"). 1 is a tile that is used, 0 is
        background and what lies outside the slide, others are their `TileStatus`.
    """
    raster = grid.status.copy()
    raster[np.isin(grid.status, (TileStatus.BACKGROUND, TileStatus.OUTSIDE))] = 0
    raster[grid.status == TileStatus.KEPT] = 1
    colors = {
        label: np.array([*_rgb(color), 1], np.float32) for label, color in _TISSUE_COLORS.items()
    }
    clear = np.zeros(4, np.float32)
    return (
        raster,
        {
            "name": f"{name} · tissue tiles",
            "colormap": {None: clear, 0: clear} | colors,
            "opacity": 0.25,
            "metadata": {METADATA_KEY: {"kind": "tissue", "tile_size_px": grid.size_px}},
            **grid_transform(grid.size_px, grid.mpp),
        },
        "labels",
    )


def mask_layer(
    name: str, values: NDArray[np.uint8], downsample: float, mpp: float | None
) -> LayerData:
    """Return a tissue mask as labels that can be painted on.

    Parameters
    ----------
    name : str
        Of the slide.
    values : ndarray of uint8, shape (height, width)
        `MaskClass` of each pixel, plus `PAINTED` where it was painted by hand.
    downsample : float
        Level-0 pixels per mask pixel.
    mpp : float or None
        µm per level-0 pixel.

    Returns
    -------
    tuple
        (values, keyword arguments, "labels").
    """
    clear = np.zeros(4, np.float32)
    names, colors = zip(*_MASK_CLASSES, strict=True)
    return (
        values,
        {
            "name": f"{name} · tissue mask",
            "colormap": {None: clear, 0: clear}
            | {
                label: np.array([*_rgb(color), 1], np.float32)
                for label, color in enumerate(colors)
                if label
            },
            "features": {"mask": list(names)},
            "opacity": 0.4,
            "metadata": {METADATA_KEY: {"kind": "mask", "tile_size_px": downsample}},
            **grid_transform(downsample, mpp),
        },
        "labels",
    )


def _overlay_facts(kind: str, result: SlideResult) -> dict[str, Any]:
    return {
        "kind": kind,
        "path": result.slide_path,
        "slide_id": result.slide_id,
        "tile_size_px": result.tile_size_px,
        "mpp": result.mpp,
    }
