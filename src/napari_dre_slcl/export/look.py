"""How codewords are called and coloured in files: as in the window, or as the model has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.insight.codeword_names import MOST_SIGNS, read_header, read_names
from napari_dre_slcl.layers import codeword_colors, codeword_name
from napari_dre_slcl.results import SlideResult

__all__ = ["CodewordLook", "look_of"]


@dataclass(frozen=True, slots=True, eq=False)
class CodewordLook:
    """Names and colours.

    Parameters
    ----------
    names : tuple of str
        One per codeword.
    colors : ndarray
        (K, 4) float32 RGBA in 0-1.
    """

    names: tuple[str, ...]
    colors: NDArray[np.float32]

    def rgb(self, codeword: int) -> tuple[int, int, int]:
        """Return a codeword's colour as numbers of 0-255."""
        red, green, blue = (round(255 * float(part)) for part in self.colors[codeword][:3])
        return red, green, blue

    def hex(self, codeword: int) -> str:
        """Return a codeword's colour such as #0072b2."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb(codeword))


def look_of(result: SlideResult) -> CodewordLook:
    """Return the names that the model has now, and the colours of every new window.

    Where the model is not where it was, or is another by now, its names at prediction are taken.
    """
    count = result.n_codewords
    names = _model_names(result)
    if len(names) != count:
        names = tuple(map(_told, result.codeword_names))
    if len(names) != count:
        names = tuple(codeword_name(number) for number in range(count))
    return CodewordLook(tuple(map(_one_line, names)), codeword_colors(count))


def _model_names(result: SlideResult) -> tuple[str, ...]:
    folder = result.provenance.get("model")
    if not folder or not result.n_codewords:
        return ()
    try:
        header = read_header(Path(folder))
        is_same = header.get("weights_sha256") == result.provenance.get("model_sha256")
        return read_names(Path(folder)) if is_same else ()
    except ModelError:
        return ()


def _one_line(name: str) -> str:
    """Return a name that fits a legend; one that was written by hand may hold anything."""
    printed = "".join(sign if sign.isprintable() else " " for sign in name)
    return " ".join(printed.split())[:MOST_SIGNS]


def _told(name: str) -> str:
    """Write a name that nobody gave as windows do."""
    return name.capitalize() if name.startswith("codeword ") else name
