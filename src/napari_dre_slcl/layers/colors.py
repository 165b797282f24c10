"""Colours and names of codewords."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.results import SlideResult

__all__ = ["codeword_colors", "codeword_name", "codeword_shares", "rgb"]

# Far apart from each other and from the pinks of H&E.
# fmt: off
_PALETTE = (
    "#0072b2", "#f5c000", "#009e60", "#e25822", "#6a3d9a", "#56b4e9", "#b3001b", "#a6d854",
    "#8c510a", "#00c9a7", "#f781bf", "#3b3fb6", "#d9a441", "#2f6b3a", "#c994ff", "#7f7f7f",
)
# fmt: on
_GOLDEN_RATIO = 0.618034


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
    fixed = [rgb(color) for color in _PALETTE]
    rest = [
        list(
            colorsys.hsv_to_rgb((i * _GOLDEN_RATIO) % 1, 0.55 + 0.4 * (i % 2), 0.6 + 0.13 * (i % 4))
        )
        for i in range(max(0, n_codewords - len(fixed)))
    ]
    opaque = np.array((fixed + rest)[:n_codewords], dtype=np.float32).reshape(-1, 3)
    return np.concatenate([opaque, np.ones((n_codewords, 1), dtype=np.float32)], axis=1)


def rgb(color: str) -> list[float]:
    """Return a colour such as #0072b2 as numbers of 0-1."""
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def codeword_name(codeword: int) -> str:
    """Return the name of codeword number ``codeword`` (from 0) as shown to the user.

    Parameters
    ----------
    codeword : int
        From 0.
    """
    return f"Codeword {codeword + 1}"


def codeword_shares(result: SlideResult) -> NDArray[np.float64]:
    """Return which share of the slide's tiles each codeword has, shape (K,).

    Parameters
    ----------
    result : SlideResult
        Of a model with K codewords.
    """
    counts = np.bincount(result.codeword, minlength=result.n_codewords)
    return counts / max(1, len(result.codeword))
