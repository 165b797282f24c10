"""Draws many points into an array, and finds which of them lie in an outline. No Qt.

Fifty thousand points take a few milliseconds; as objects of a plot they would take a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

__all__ = ["View", "draw_points", "inside", "nearest_point"]

_MARGIN = 0.04


@dataclass(frozen=True, slots=True)
class View:
    """Which part of the plane a picture shows.

    Parameters
    ----------
    x, y : float
        In its middle.
    scale : float
        Pixels per unit.
    """

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0

    @classmethod
    def of_all(cls, points: NDArray[np.floating[Any]], width: int, height: int) -> View:
        """Return the view that shows all points."""
        if not len(points):
            return cls()
        low, high = points.min(axis=0), points.max(axis=0)
        room = np.array([width, height]) * (1 - 2 * _MARGIN)
        spread = np.maximum(high - low, 1e-9)
        middle = (low + high) / 2
        return cls(float(middle[0]), float(middle[1]), float((room / spread).min()))

    def to_px(
        self, points: NDArray[np.floating[Any]], width: int, height: int
    ) -> NDArray[np.float64]:
        """Return (n, 2) x and y in pixels, y downwards."""
        px = (np.asarray(points, np.float64) - (self.x, self.y)) * (self.scale, -self.scale)
        shifted: NDArray[np.float64] = px + np.array([width / 2, height / 2])
        return shifted

    def moved(self, dx_px: float, dy_px: float) -> View:
        """Return the view after the picture has been dragged."""
        return View(self.x - dx_px / self.scale, self.y + dy_px / self.scale, self.scale)

    def zoomed(self, factor: float, x_px: float, y_px: float, width: int, height: int) -> View:
        """Return the view enlarged about a pixel, which stays where it is."""
        right, down = (x_px - width / 2) / self.scale, (y_px - height / 2) / self.scale
        shift = 1 - 1 / factor
        return View(self.x + right * shift, self.y - down * shift, self.scale * factor)


def draw_points(
    points_px: NDArray[np.floating[Any]],
    colors: NDArray[np.uint8],
    shape: tuple[int, int],
    edge_px: int,
) -> NDArray[np.uint8]:
    """Draw points as squares, later ones over earlier ones.

    Parameters
    ----------
    points_px : ndarray
        (n, 2) x and y in pixels.
    colors : ndarray
        (n, 4) uint8 RGBA.
    shape : tuple of int
        (height, width) of the picture.
    edge_px : int
        Of a square.

    Returns
    -------
    ndarray
        (height, width, 4) uint8, clear where there is no point.
    """
    width = shape[1] + 2 * edge_px
    # A margin as wide as a square, so that no square has to be cut; colours as single numbers.
    picture = np.zeros((shape[0] + 2 * edge_px, width), np.uint32)
    corners = np.floor(points_px - (edge_px - 1) / 2).astype(np.int64) + edge_px
    seen = ((corners >= 0) & (corners < np.array(shape[::-1]) + edge_px)).all(axis=1)
    places = corners[seen, 1] * width + corners[seen, 0]
    packed = np.ascontiguousarray(colors[seen]).view(np.uint32).ravel()
    flat = picture.ravel()
    for down in range(edge_px):
        for right in range(edge_px):
            flat[places + (down * width + right)] = packed
    inner = picture[edge_px : edge_px + shape[0], edge_px : edge_px + shape[1]]
    return np.ascontiguousarray(inner).view(np.uint8).reshape(*shape, 4)


def inside(
    points_px: NDArray[np.floating[Any]],
    outline_px: NDArray[np.floating[Any]],
    shape: tuple[int, int],
) -> NDArray[np.bool_]:
    """Return which points lie inside a closed outline, to the pixel.

    Parameters
    ----------
    points_px : ndarray
        (n, 2) x and y.
    outline_px : ndarray
        (m, 2) corners; the last is joined to the first.
    shape : tuple of int
        (height, width) of the picture; points outside it are never inside.
    """
    mask = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in outline_px], fill=1)
    filled = np.asarray(mask)
    places = np.rint(points_px).astype(np.int64)
    seen = ((places >= 0) & (places < np.array(shape[::-1]))).all(axis=1)
    is_inside = np.zeros(len(points_px), bool)
    is_inside[seen] = filled[places[seen, 1], places[seen, 0]] > 0
    return is_inside


def nearest_point(
    points_px: NDArray[np.floating[Any]], x_px: float, y_px: float, within_px: float
) -> int | None:
    """Return the point nearest a pixel, None where none is near enough."""
    if not len(points_px):
        return None
    squares = ((points_px - (x_px, y_px)) ** 2).sum(axis=1)
    nearest = int(squares.argmin())
    return nearest if squares[nearest] <= within_px**2 else None
