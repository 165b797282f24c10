"""The strip below a picture: scale bar, and the colours of the map with their numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.map_colors import ramp_table
from napari_dre_slcl.export.picture_font import picture_font
from napari_dre_slcl.layers import TileMap, codeword_shares, value_text
from napari_dre_slcl.results import SlideResult

__all__ = ["legend_strip", "scale_bar_um"]

LEAST_WIDTH_PX = 720
_FONT_PX = 17
_MARGIN_PX = 16
_ROW_PX = 28
_RAMP_PX = (320, 20)
_INK, _PAPER = (30, 30, 30), (255, 255, 255)


def scale_bar_um(width_um: float) -> float:
    """Return a round length (1, 2 or 5 times a power of ten) of about a fifth of a width."""
    target = width_um / 5
    power = 10.0 ** math.floor(math.log10(target))
    return max(step * power for step in (1, 2, 5) if step * power <= target)


def legend_strip(
    result: SlideResult, look: CodewordLook, tile_map: TileMap | None, mpp: float, width_px: int
) -> NDArray[np.uint8]:
    """Draw the strip.

    Parameters
    ----------
    result : SlideResult
        For the shares of the codewords.
    look : CodewordLook
        Names and colours of the codewords.
    tile_map : TileMap or None
        What is shown; None for the codewords.
    mpp : float
        µm per pixel of the picture.
    width_px : int
        Of the strip.

    Returns
    -------
    ndarray
        (height, width_px, 3) uint8.
    """
    room = _ROW_PX * (8 + result.n_codewords)  # cropped to what is drawn
    canvas = Image.new("RGB", (width_px, room), _PAPER)
    draw = ImageDraw.Draw(canvas)
    y = _draw_scale_bar(draw, mpp, width_px)
    if tile_map is None:
        y = _draw_codewords(draw, result, look, width_px, y)
    else:
        y = _draw_ramp(canvas, draw, tile_map, y)
    return np.asarray(canvas.crop((0, 0, width_px, y + _MARGIN_PX)))


def _draw_scale_bar(draw: ImageDraw.ImageDraw, mpp: float, width_px: int) -> int:
    length_um = scale_bar_um(width_px * mpp)
    right = _MARGIN_PX + round(length_um / mpp)
    # A rectangle has both its ends.
    draw.rectangle((_MARGIN_PX, _MARGIN_PX + 6, right - 1, _MARGIN_PX + 12), fill=_INK)
    said = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    draw.text((right + 10, _MARGIN_PX - 2), said, fill=_INK, font=picture_font(_FONT_PX))
    return _MARGIN_PX + _ROW_PX


def _draw_ramp(canvas: Image.Image, draw: ImageDraw.ImageDraw, tile_map: TileMap, y: int) -> int:
    draw.text((_MARGIN_PX, y), tile_map.label, fill=_INK, font=picture_font(_FONT_PX))
    width, height = _RAMP_PX
    colors = ramp_table(tile_map.kind)
    opaque = colors[:, :3] * colors[:, 3:] + 1 - colors[:, 3:]  # on white, as on glass
    row = (opaque * 255).round().astype(np.uint8)[None]
    bar = Image.fromarray(row).resize((width, height), Image.Resampling.BILINEAR)
    top = y + _ROW_PX
    canvas.paste(bar, (_MARGIN_PX, top))
    draw.rectangle((_MARGIN_PX, top, _MARGIN_PX + width, top + height), outline=_INK)
    low, high = tile_map.limits
    middle = (low + high) / 2
    for share, value, anchor in ((0.0, low, "la"), (0.5, middle, "ma"), (1.0, high, "ra")):
        place = (_MARGIN_PX + share * width, top + height + 4)
        draw.text(
            place, value_text("", value), fill=_INK, font=picture_font(_FONT_PX), anchor=anchor
        )
    return top + height + 4 + _ROW_PX


def _draw_codewords(
    draw: ImageDraw.ImageDraw, result: SlideResult, look: CodewordLook, width_px: int, y: int
) -> int:
    shares = codeword_shares(result)
    said = [f"{name} ({share:.0%})" for name, share in zip(look.names, shares, strict=True)]
    column = (
        2 * _MARGIN_PX
        + _ROW_PX
        + max(round(picture_font(_FONT_PX).getlength(text)) for text in said)
    )
    n_columns = max(1, (width_px - _MARGIN_PX) // column)
    for number, text in enumerate(said):
        row, place = divmod(number, n_columns)
        left, top = _MARGIN_PX + place * column, y + row * _ROW_PX
        draw.rectangle((left, top + 2, left + 18, top + 20), fill=look.rgb(number))
        draw.text((left + _ROW_PX, top), text, fill=_INK, font=picture_font(_FONT_PX))
    return y + _ROW_PX * -(-len(said) // n_columns)
