"""How codewords are called and coloured in files: as in the window, or as the model has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """Return the names that the model had at prediction, and the colours of every new window."""
    count = result.n_codewords
    names = result.codeword_names
    if len(names) != count:
        names = tuple(codeword_name(number) for number in range(count))
    return CodewordLook(tuple(names), codeword_colors(count))
