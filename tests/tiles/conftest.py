"""What spoils slides, drawn: ink, folds, edges of coverslips."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Pixels = NDArray[np.uint8]


def line(
    image: Pixels, colour: Sequence[int], width_px: int, points: Sequence[tuple[int, int]]
) -> Pixels:
    """Return the image with a line through points (x, y)."""
    picture = Image.fromarray(image)
    ImageDraw.Draw(picture).line(points, fill=tuple(colour), width=width_px, joint="curve")
    return np.asarray(picture)


def ink(image: Pixels, colour: Sequence[int], where: NDArray[np.bool_]) -> Pixels:
    """Return the image seen through ink of uneven thickness and with soft edges."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=where.shape), 20)
    thickness = np.clip(1 + noise / (8 * noise.std()), 0.7, 1.4)
    cover = ndimage.gaussian_filter(where.astype(np.float32), 6) * thickness
    through = (np.array(colour) / 245) ** cover[..., None]
    return np.clip(image * through, 0, 255).astype(np.uint8)


def doubled(image: Pixels, where: NDArray[np.bool_], layers: int = 3) -> Pixels:
    """Return the image with more layers of its own tissue laid over a place, as in a fold."""
    light = image / 245
    through = light.copy()
    for layer in range(1, layers):
        through *= np.roll(light, (130 * layer, -90 * layer), axis=(0, 1))
    through = np.where(where[..., None], through, light)
    return np.clip(through * 245, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def with_line() -> Callable[..., Pixels]:
    """Return `line`: with_line(image, colour, width_px, points)."""
    return line


@pytest.fixture(scope="session")
def with_ink() -> Callable[..., Pixels]:
    """Return `ink`: with_ink(image, colour, where)."""
    return ink


@pytest.fixture(scope="session")
def with_fold() -> Callable[..., Pixels]:
    """Return `doubled`: with_fold(image, where, layers=3)."""
    return doubled
