"""One generated slide: paint it from its plan and write it as a pyramidal JPEG TIFF."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from napari_dre_slcl.atomic_file import atomic_path
from napari_dre_slcl.cohort.synthetic_anatomy import FIELD_SCALE, Anatomy, draw_anatomy
from napari_dre_slcl.cohort.synthetic_plan import SlidePlan
from napari_dre_slcl.cohort.synthetic_stain import blur_patch, draw_pen, stain
from napari_dre_slcl.cohort.synthetic_tissue import paint_tissue

__all__ = ["TILE_PX", "GridCell", "paint_slide", "tumour_cells", "write_pyramid"]

TILE_PX = 256
_MPP = 0.5
_LEVELS = (1, 4, 16)
_JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class GridCell:
    """One 256-px cell of the level-0 grid that holds at least half tissue."""

    row: int
    column: int
    is_tumour: bool


def paint_slide(
    plan: SlidePlan, seed: int, index: int, side_px: int
) -> tuple[npt.NDArray[np.uint8], list[GridCell]]:
    """Return the (side, side, 3) uint8 picture of a slide and what its grid cells hold.

    The same plan, seed and index give the same pixels, whatever else is painted.
    """
    # A stream for each step, so that one label changes only what it should.
    shape, paint, dye, focus, ink = np.random.default_rng([seed, 2, index]).spawn(5)
    anatomy = draw_anatomy(shape, side_px, plan.subtype, plan.tumour_share)
    haematoxylin, eosin = paint_tissue(paint, anatomy, plan.subtype, plan.is_mutated, plan.cue)
    picture = stain(dye, haematoxylin, eosin, plan.site)
    if plan.has_blur:
        blur_patch(focus, picture, anatomy)
    if plan.has_pen:
        draw_pen(ink, picture, anatomy)
    return picture, tumour_cells(anatomy)


def tumour_cells(anatomy: Anatomy) -> list[GridCell]:
    """Return the grid cells that are at least half tissue, airspaces and lumina included."""
    edge = TILE_PX // FIELD_SCALE
    n = anatomy.tissue_px.shape[0] // edge

    def shares(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        means: npt.NDArray[np.float64] = mask.reshape(n, edge, n, edge).mean(axis=(1, 3))
        return means

    tissue = shares(anatomy.tissue_px > 0)
    tumour = shares((anatomy.tumour_px > 0) & (anatomy.tissue_px > 0))
    return [
        GridCell(row, column, bool(tumour[row, column] >= 0.5))
        for row, column in np.argwhere(tissue >= 0.5).tolist()
    ]


def write_pyramid(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture as a tiled JPEG pyramid, levels 1, 4 and 16, with 0.5 µm per pixel.

    Parameters
    ----------
    path : Path
        The new file; written beside itself and renamed, so that it is whole or absent.
    picture : (h, w, 3) uint8
        Level 0.
    """
    with atomic_path(path) as aside, tifffile.TiffWriter(aside) as writer:
        for downsample in _LEVELS:
            size = (picture.shape[1] // downsample, picture.shape[0] // downsample)
            level = Image.fromarray(picture) if downsample > 1 else None
            pixels = picture if level is None else np.asarray(level.reduce(downsample))
            writer.write(
                pixels[: size[1], : size[0]],
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",  # stored as YCbCr
                subsampling=(2, 2),
                compression="jpeg",
                compressionargs={"level": _JPEG_QUALITY},
                subfiletype=0 if downsample == 1 else 1,
                resolution=(1e4 / (_MPP * downsample),) * 2,
                resolutionunit="CENTIMETER",
                description="Generated H&E slide, not of a patient|MPP = 0.5|AppMag = 20"
                if downsample == 1
                else None,
                software="napari-dre-slcl" if downsample == 1 else False,
                metadata=None,
                maxworkers=1,
            )
