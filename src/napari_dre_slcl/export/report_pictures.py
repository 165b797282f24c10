"""Pictures for a page that is one file: the slide small, maps to lay over it, single tiles."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_dre_slcl.export.map_colors import ramp_table
from napari_dre_slcl.layers import TileMap
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.slide import Slide

__all__ = ["map_uri", "overview_uri", "ramp_uri", "tile_uris"]

_OVERVIEW_PX = 1100
_MOST_CELLS = 500
_MAP_COLORS = 128
_TILE_PX = 128
_QUALITY = 80


def overview_uri(slide: Slide) -> str:
    """Return the whole slide as a small JPEG picture in a data URI."""
    height, width = slide.info.shape
    downsample = max(1.0, max(height, width) / _OVERVIEW_PX)
    size = [max(1, round(edge / downsample)) for edge in (height, width)]
    return _jpeg(slide.read_scaled(0, 0, size[0], size[1], downsample))


def map_uri(colors: NDArray[np.float32]) -> str:
    """Return a raster of tiles as a PNG picture in a data URI, one pixel per tile or fewer.

    Parameters
    ----------
    colors : ndarray
        (rows, columns, 4) RGBA in 0-1.
    """
    step = math.ceil(max(colors.shape[:2]) / _MOST_CELLS)
    pixels = (_shrunk(colors, step) * 255).round().astype(np.uint8)
    # The picture's own quantizer keeps transparency in the palette.
    small = Image.fromarray(pixels).quantize(_MAP_COLORS, Image.Quantize.FASTOCTREE)
    return _uri(small, "PNG", optimize=True)


def ramp_uri(tile_map: TileMap) -> str:
    """Return the colours of a map from the lowest value to the highest, on white, as a PNG."""
    colors = ramp_table(tile_map.kind)
    opaque = colors[:, :3] * colors[:, 3:] + 1 - colors[:, 3:]
    return _uri(Image.fromarray((opaque * 255).round().astype(np.uint8)[None]), "PNG")


def tile_uris(slide: Slide, result: SlideResult, tiles: NDArray[np.int64]) -> list[str]:
    """Return tiles of a result as small JPEG pictures in data URIs.

    Parameters
    ----------
    slide : Slide
        Of the result.
    result : SlideResult
        Says where they lie.
    tiles : ndarray
        (m,) positions in its tile table.
    """
    pixels = slide.read_tiles(
        result.tile_yx[tiles], _TILE_PX, max(1 / 64, result.tile_size_px / _TILE_PX), n_threads=1
    )
    return [_jpeg(one) for one in pixels]


def _shrunk(colors: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Average squares of tiles, each as much as it covers, so that clear ones do not darken."""
    if step == 1:
        return colors
    rows, cols = (-(-size // step) * step for size in colors.shape[:2])
    padded = np.zeros((rows, cols, 4), np.float32)
    padded[: colors.shape[0], : colors.shape[1]] = colors
    padded[..., :3] *= padded[..., 3:]
    mean = padded.reshape(rows // step, step, cols // step, step, 4).mean(axis=(1, 3))
    alpha = mean[..., 3:]
    mean[..., :3] = np.divide(mean[..., :3], alpha, where=alpha > 0, out=mean[..., :3])
    return np.asarray(mean.clip(0, 1), np.float32)


def _jpeg(pixels: NDArray[np.uint8]) -> str:
    return _uri(Image.fromarray(pixels), "JPEG", quality=_QUALITY, optimize=True)


def _uri(picture: Image.Image, form: str, **options: Any) -> str:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
