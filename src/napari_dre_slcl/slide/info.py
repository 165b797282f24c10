"""What a slide says about itself: level shapes, downsamples, pixel size and its source."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["Finding", "Severity", "SlideInfo", "level_downsample"]

Severity = Literal["note", "warning", "error"]
"""note: nothing needs doing; warning: a doubtful value is used; error: there is no value."""


class Finding(BaseModel):
    """Something about a slide that its user should know.

    Parameters
    ----------
    code : str
        Short and fixed, such as "mpp-zero"; docs/how-to/pixel-size.md lists them.
    severity : {"note", "warning", "error"}
    sentence : str
        What is wrong, where, and what to do.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    severity: Severity
    sentence: str


class SlideInfo(BaseModel):
    """Facts of a slide, without pixels.

    Parameters
    ----------
    path : str
        The file (of a DICOM folder: the folder).
    vendor : str
        Scanner family.
    backend, backend_reason : str
        What reads the pixels, `tiff-jpeg`, `tifffile` or `openslide`, and why that.
    level_shapes : tuple of (int, int)
        (height, width) of each level, level 0 first.
    level_downsamples : tuple of float
        Level-0 pixels per level pixel.
    mpp : float or None
        µm per level-0 pixel; None when the file does not say and nobody else did.
    mpp_source : str
        "user", "cohort table", "stored answer", "vendor property", "TIFF resolution",
        "objective power" (an estimate) or "unknown".
    objective_power : float or None
        As written in the file; the pixel size is estimated from it where there is no other.
    tile_shape : (int, int)
        (height, width) in pixels of the tiles in which the file stores level 0.
    associated_images : tuple of str
        Names only. Label and macro images may show patient names and are never read.
    findings : tuple of Finding
        What is wrong with the pixel size, the gravest first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    vendor: str
    backend: str
    backend_reason: str = ""
    level_shapes: tuple[tuple[int, int], ...]
    level_downsamples: tuple[float, ...]
    mpp: float | None
    mpp_source: str
    objective_power: float | None
    tile_shape: tuple[int, int]
    associated_images: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of level 0 in pixels."""
        return self.level_shapes[0]


def level_downsample(shape: tuple[int, int], level_shape: tuple[int, int]) -> float:
    """Return level-0 pixels per level pixel, without the error of a cropped last row or column.

    A level of 7755 rows under 31017 was made by shrinking 4x and rounding up; the plain ratio
    3.9996 would shift its last rows by two level-0 pixels.

    Parameters
    ----------
    shape, level_shape : (int, int)
        (height, width) of level 0 and of the level.

    Returns
    -------
    float
        The whole factor that explains both axes if there is one, else their mean ratio.
    """
    ratio = sum(full / part for full, part in zip(shape, level_shape, strict=True)) / 2
    for factor in (2 ** round(math.log2(ratio)), round(ratio)):
        if all(
            full // factor <= part <= -(-full // factor)
            for full, part in zip(shape, level_shape, strict=True)
        ):
            return float(factor)
    return ratio
