"""TissueMask: what each part of a slide is, glass, tissue, pen or fold; kept as a PNG picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.untrusted import parse_json

__all__ = ["MASK_SUFFIX", "MaskClass", "TissueMask", "load_tissue_mask"]

MASK_SUFFIX = ".tissue.png"
_HEADER = "dre-slcl tissue mask"
_VERSION = 1
_MOST_PX = 2**28
# Glass white, tissue green, pen blue, fold orange: a mask file looks right in any picture viewer.
_PALETTE = (255, 255, 255, 0, 158, 96, 0, 114, 178, 230, 120, 0)


class MaskClass(IntEnum):
    """What a mask pixel shows."""

    GLASS = 0
    TISSUE = 1
    PEN = 2
    FOLD = 3


@dataclass(frozen=True, slots=True, eq=False)
class TissueMask:
    """What each part of a slide is.

    Parameters
    ----------
    labels : ndarray of uint8, shape (height, width)
        A `MaskClass` for each mask pixel; covers the slide from (0, 0).
    downsample : float
        Level-0 pixels per mask pixel.
    slide_shape : (int, int)
        (height, width) of the slide's level 0, by which a mask of another slide is known.
    """

    labels: NDArray[np.uint8]
    downsample: float
    slide_shape: tuple[int, int]

    @property
    def tissue(self) -> NDArray[np.bool_]:
        """Flat tissue, without folds."""
        return self._is(MaskClass.TISSUE)

    @property
    def pen(self) -> NDArray[np.bool_]:
        """Pen marks and a narrow margin."""
        return self._is(MaskClass.PEN)

    @property
    def fold(self) -> NDArray[np.bool_]:
        """Tissue that lies double."""
        return self._is(MaskClass.FOLD)

    def _is(self, label: MaskClass) -> NDArray[np.bool_]:
        is_label: NDArray[np.bool_] = self.labels == label
        return is_label

    def share(self, of: MaskClass, size_px: int, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Return which share of each cell of a grid a class covers.

        Parameters
        ----------
        of : MaskClass
        size_px : int
            Edge of a cell in level-0 pixels; the grid starts at (0, 0).
        shape : (int, int)
            (rows, cols) of the grid.

        Returns
        -------
        ndarray of float, shape (rows, cols)
            0 to 1, exact for cells that cut mask pixels.
        """
        return cell_means(self._is(of), size_px / self.downsample, shape)

    def save(self, path: str | Path) -> Path:
        """Write the mask as a PNG picture, whole or not at all.

        Parameters
        ----------
        path : str or Path
            Ends in ``.tissue.png`` by custom.

        Returns
        -------
        Path

        Raises
        ------
        SlideError
            If the file cannot be written.
        """
        picture = Image.fromarray(self.labels)
        picture.putpalette(_PALETTE)
        header = {
            "version": _VERSION,
            "slide_shape": list(self.slide_shape),
            "downsample": self.downsample,
        }
        info = PngInfo()
        info.add_text(_HEADER, json.dumps(header))
        try:
            with atomic_writer(Path(path)) as stream:
                picture.save(stream, "png", pnginfo=info)
        except OSError as error:
            raise SlideError(
                f"The tissue mask '{path}' cannot be written: {error.strerror}."
            ) from error
        return Path(path)


def load_tissue_mask(path: str | Path) -> TissueMask:
    """Read a mask that `TissueMask.save` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    TissueMask

    Raises
    ------
    SlideError
        If the file is missing, damaged, or no tissue mask.
    """
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            header = parse_json(picture.info[_HEADER])
            if picture.mode != "P" or picture.width * picture.height > _MOST_PX:
                raise ValueError("not a mask picture")
            return _checked(np.array(picture), header)
    except UnidentifiedImageError as error:
        raise _no_mask(path) from error
    except (KeyError, ValueError, TypeError, SyntaxError, Image.DecompressionBombError) as error:
        raise _no_mask(path) from error
    except OSError as error:
        if error.strerror is None:
            raise _no_mask(path) from error
        raise SlideError(
            f"The tissue mask '{path}' cannot be read: {error.strerror}. Check the name."
        ) from error


def _no_mask(path: str | Path) -> SlideError:
    return SlideError(
        f"'{path}' is no tissue mask of this program, or it is damaged. "
        "Save the mask again with 'dre-slcl tiles --save-mask' or in the window."
    )


def _checked(labels: NDArray[np.uint8], header: dict[str, Any]) -> TissueMask:
    """Return the mask if its header and its pixels fit each other, else raise ValueError."""
    if header["version"] != _VERSION:
        raise ValueError("unknown version")
    height, width = (int(size) for size in header["slide_shape"])
    downsample = float(header["downsample"])
    expected = mask_shape((height, width), downsample)
    if labels.shape != expected or labels.max(initial=0) > max(MaskClass):
        raise ValueError("pixels do not fit the header")
    return TissueMask(labels, downsample, (height, width))


def mask_shape(slide_shape: tuple[int, int], downsample: float) -> tuple[int, int]:
    """Return the (height, width) of a slide's mask.

    Parameters
    ----------
    slide_shape : (int, int)
        (height, width) of level 0.
    downsample : float
        Level-0 pixels per mask pixel; at least 1.

    Raises
    ------
    ValueError
        If `downsample` is less than 1 or the slide has no pixels.
    """
    height, width = slide_shape
    if not downsample >= 1 or height < 1 or width < 1:
        raise ValueError(f"a slide of {height}x{width} px has no mask at 1/{downsample}")
    return max(1, round(height / downsample)), max(1, round(width / downsample))


def cell_means(mask: NDArray[np.bool_], edge: float, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Average a mask over square cells of `edge` mask pixels: an integral image, interpolated.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        Outside it counts as False.
    edge : float
        Of a cell in mask pixels; the first cell starts at (0, 0).
    shape : (int, int)
        (rows, cols) of the cells.

    Returns
    -------
    ndarray of float, shape (rows, cols)
    """
    sums = mask.astype(np.float64)
    for axis, n_cells in enumerate(shape):
        sums = np.moveaxis(sums, axis, 0)
        total = np.concatenate([np.zeros((1, *sums.shape[1:])), np.cumsum(sums, axis=0)])
        edges = np.minimum(np.arange(n_cells + 1) * edge, len(total) - 1)
        below = np.minimum(edges.astype(int), len(total) - 2)
        part = (edges - below)[:, None]
        sums = np.moveaxis(
            np.diff(total[below] * (1 - part) + total[below + 1] * part, axis=0), 0, axis
        )
    return sums / edge**2
