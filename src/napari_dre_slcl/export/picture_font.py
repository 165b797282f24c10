"""The font of words in pictures: one that knows more than English where it can be found."""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files
from importlib.util import find_spec

from PIL import ImageFont

__all__ = ["picture_font"]

# Comes with napari and has µ, umlauts, Greek, Cyrillic and Japanese; Pillow's own has ASCII only.
_PACKAGE, _FILE = "napari_resources", "resources/fonts/M_PLUS_1p/MPLUS1p-Regular.ttf"


@cache
def picture_font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font at a size."""
    if find_spec(_PACKAGE) is not None:
        try:
            content = files(_PACKAGE).joinpath(_FILE).read_bytes()
            return ImageFont.truetype(io.BytesIO(content), size_px)
        except OSError:
            pass  # another version of that package, without this file
    return ImageFont.load_default(size_px)
