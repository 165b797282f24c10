"""From stain amounts to RGB: site-specific dyes after Beer and Lambert, pen ink and blur."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from napari_dre_slcl.cohort.synthetic_anatomy import FIELD_SCALE, Anatomy
from napari_dre_slcl.cohort.synthetic_noise import speckle
from napari_dre_slcl.cohort.synthetic_nuclei import AMOUNT, Plane

__all__ = ["SITES", "blur_patch", "draw_pen", "stain"]

_PEN_INKS = ((38, 58, 150), (22, 120, 84))


@dataclass(frozen=True, slots=True)
class _Dyes:
    """Optical density per channel (RGB) of an amount of 1, and the colour of the glass."""

    haematoxylin: tuple[float, float, float]
    eosin: tuple[float, float, float]
    glass: tuple[int, int, int]


SITES: dict[str, _Dyes] = {
    "A": _Dyes((0.58, 0.63, 0.26), (0.06, 0.54, 0.23), (243, 242, 243)),
    "B": _Dyes((0.66, 0.64, 0.23), (0.10, 0.53, 0.17), (240, 241, 246)),
    "C": _Dyes((0.51, 0.60, 0.29), (0.04, 0.48, 0.27), (246, 243, 240)),
}


def stain(
    rng: np.random.Generator, haematoxylin: Plane, eosin: Plane, site: str
) -> npt.NDArray[np.uint8]:
    """Return the (h, w, 3) uint8 picture of two stain planes as ``site`` would have dyed them."""
    dyes = SITES[site]
    gain_h, gain_e = rng.uniform(0.85, 1.17, 2)  # no two batches of dye are the same
    amount = np.arange(256, dtype=np.float64) / AMOUNT
    density = (
        amount[:, None, None] * gain_h * np.array(dyes.haematoxylin)
        + amount[None, :, None] * gain_e * np.array(dyes.eosin)
    ).reshape(-1, 3)
    table = np.round(np.array(dyes.glass) * 10.0**-density).astype(np.uint8)
    side = haematoxylin.shape[0]
    picture = np.empty((*haematoxylin.shape, 3), np.uint8)
    shift = rng.integers(speckle().shape[0], size=4)
    block = 512
    for top in range(0, side, block):
        grain_h = _grain(shift[:2], top, block, side)
        grain_e = _grain(shift[2:], top, block, side)
        rows = slice(top, top + block)
        h = _grained(haematoxylin[rows], grain_h).astype(np.uint16)
        h <<= 8
        h |= _grained(eosin[rows], grain_e)
        np.take(table, h, axis=0, out=picture[rows])
    return picture


def draw_pen(rng: np.random.Generator, picture: npt.NDArray[np.uint8], anatomy: Anatomy) -> None:
    """Draw a pathologist's pen along one side of the tissue, mostly on glass, in place."""
    n = anatomy.tissue_px.shape[0]
    y, x = np.nonzero(anatomy.tissue_px > 0)
    centre = np.array([y.mean(), x.mean()])
    angle = np.arctan2(y - centre[0], x - centre[1])
    reach = np.hypot(y - centre[0], x - centre[1])
    start, sweep = rng.uniform(-np.pi, np.pi), rng.uniform(0.6, 1.5)
    line = []
    for turn in np.linspace(start, start + sweep, 14):
        near = np.abs(np.angle(np.exp(1j * (angle - turn)))) < 0.3
        radius = (reach[near].max() if near.any() else n / 4) + n * rng.uniform(0.015, 0.035)
        line.append(centre + radius * np.array([np.sin(turn), np.cos(turn)]))
    path = ndimage.gaussian_filter1d(np.array(line), 1.2, axis=0, mode="nearest")
    width = int(rng.uniform(16, 26) * max(1.0, n / 1024))
    mask = Image.new("L", (n, n))
    pen = ImageDraw.Draw(mask)
    dots = [(float(px), float(py)) for py, px in path]
    pen.line(dots, fill=255, width=width, joint="curve")
    for px, py in (dots[0], dots[-1]):
        pen.ellipse((px - width / 2, py - width / 2, px + width / 2, py + width / 2), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(1.2))
    box = mask.getbbox()
    if box is None:
        return
    _lay_ink(rng, picture, mask, box)


def _lay_ink(
    rng: np.random.Generator,
    picture: npt.NDArray[np.uint8],
    mask: Image.Image,
    box: tuple[int, int, int, int],
) -> None:
    left, top, right, bottom = box
    size = ((right - left) * FIELD_SCALE, (bottom - top) * FIELD_SCALE)
    cover = np.asarray(mask.crop(box).resize(size, Image.Resampling.BILINEAR), np.float32) / 255
    streaks = ndimage.gaussian_filter(
        rng.standard_normal((bottom - top, right - left)).astype(np.float32), (2, 9)
    )
    streak = Image.fromarray(streaks / (streaks.std() + 1e-6)).resize(size)
    cover = cover * np.clip(0.82 + 0.06 * np.asarray(streak), 0, 1)
    ink = np.array(_PEN_INKS[int(rng.integers(2))], np.float32) / 255
    rows = slice(top * FIELD_SCALE, bottom * FIELD_SCALE)
    columns = slice(left * FIELD_SCALE, right * FIELD_SCALE)
    target = picture[rows, columns]
    # Ink is a filter: what lies under it darkens it.
    for channel in range(3):
        through = 1 - cover * (1 - ink[channel])
        target[..., channel] = np.clip(target[..., channel] * through, 0, 255)


def blur_patch(rng: np.random.Generator, picture: npt.NDArray[np.uint8], anatomy: Anatomy) -> None:
    """Put a round patch of the tissue out of focus, in place."""
    y, x = np.nonzero(anatomy.tissue_px > 0)
    chosen = int(rng.integers(len(y)))
    side = anatomy.side_px
    radius = int(side * rng.uniform(0.07, 0.11))
    centre = np.array([y[chosen], x[chosen]]) * FIELD_SCALE
    top, left = np.maximum(centre - radius, 0).tolist()
    bottom, right = np.minimum(centre + radius, side).tolist()
    target = picture[top:bottom, left:right]
    soft = np.asarray(
        Image.fromarray(np.ascontiguousarray(target)).filter(
            ImageFilter.GaussianBlur(float(rng.uniform(6, 9)))
        )
    )
    yy, xx = np.ogrid[top:bottom, left:right]
    distance = np.hypot(yy - centre[0], xx - centre[1]) / radius
    weight = np.clip((1 - distance) * 5, 0, 1).astype(np.float32)[..., None]
    target[:] = np.round(target + weight * (soft.astype(np.float32) - target)).astype(np.uint8)


def _grain(shift: npt.NDArray[np.int64], top: int, block: int, width: int) -> npt.NDArray[np.int16]:
    tile = speckle()
    period = tile.shape[0]
    rows = (np.arange(top, top + block) + shift[0]) % period
    columns = (np.arange(width) + shift[1]) % period
    return tile[np.ix_(rows, columns)]


def _grained(plane: Plane, grain: npt.NDArray[np.int16]) -> npt.NDArray[np.uint16]:
    value = plane.astype(np.int16)
    change = value * grain[: plane.shape[0]]
    change >>= 7
    value += change
    return np.clip(value, 0, 255).astype(np.uint16)
