"""How much of a fold is found: folds of a slide's own tissue, laid over real slides.

    python benchmarks/folds.py SLIDE [SLIDE...] [--mpp 0.25] [--trials 6]

On each slide, at 8 µm per pixel, bands of 0.64 mm are laid at random places and angles: two or
three layers of the slide's own tissue, 64 or 128 µm wide. Prints the share of their area that is
found, the area found beyond them, and what is called a fold on the slides as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import read_overview
from napari_dre_slcl.tiles.fold import find_folds
from napari_dre_slcl.tiles.glass import balance

LENGTH_PX = 80
WIDTHS_PX = (8, 16)
LAYERS = (2, 3)
UM_PER_PX = 8


def band(tissue: NDArray[np.bool_], width_px: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a straight band at a random angle, in the depth of the tissue."""
    depth = ndimage.distance_transform_edt(tissue)
    places = np.argwhere(depth > min(12, 0.6 * depth.max()))
    top, left = places[rng.integers(len(places))]
    angle = rng.uniform(0, np.pi)
    y, x = np.ogrid[: tissue.shape[0], : tissue.shape[1]]
    along = (y - top) * np.sin(angle) + (x - left) * np.cos(angle)
    across = (x - left) * np.sin(angle) - (y - top) * np.cos(angle)
    inside: NDArray[np.bool_] = (abs(across) <= width_px / 2) & (abs(along) <= LENGTH_PX / 2)
    return inside & tissue


def fold_over(
    pixels: NDArray[np.uint8], where: NDArray[np.bool_], layers: int
) -> NDArray[np.uint8]:
    """Return the slide with more layers of its tissue over a place: light passes through each."""
    through = light = pixels / 250
    for layer in range(1, layers):
        through = through * np.roll(light, (7 * layer, -5 * layer), axis=(0, 1))
    folded = np.where(where[..., None], 250 * through, pixels)
    return np.clip(folded, 0, 255).astype(np.uint8)


def main() -> None:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slides", nargs="+", type=Path)
    parser.add_argument("--mpp", type=float, help="of slides that state none")
    parser.add_argument("--trials", type=int, default=6)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    found: dict[tuple[int, int], list[float]] = {}
    beyond: dict[tuple[int, int], list[float]] = {}
    for path in options.slides:
        with open_slide(path) as slide:
            mpp = slide.info.mpp or options.mpp
        with open_slide(path, mpp) as slide:
            overview = read_overview(slide)
        mask = overview.mask()
        tissue = mask.tissue | mask.fold
        print(f"{path.name}: {mask.fold.sum() * UM_PER_PX**2 / 1e6:.3f} mm² called fold as it is")
        for layers in LAYERS:
            for width_px in WIDTHS_PX:
                for _ in range(options.trials):
                    where = band(tissue, width_px, rng)
                    pixels = balance(fold_over(overview.pixels, where, layers))
                    folds = find_folds(pixels, tissue, overview.pixel_um2)
                    near = ndimage.binary_dilation(where, iterations=2)
                    key = layers, width_px
                    found.setdefault(key, []).append((folds & where).sum() / where.sum())
                    beyond.setdefault(key, []).append((folds & ~near).sum() * UM_PER_PX**2 / 1e6)
    for (layers, width_px), shares in found.items():
        extra = np.mean(beyond[layers, width_px])
        print(
            f"{layers} layers, {width_px * UM_PER_PX} µm wide: {np.mean(shares):.0%} found, "
            f"{extra:.4f} mm² beyond, {len(shares)} folds"
        )


if __name__ == "__main__":
    main()
