"""What a slide says about itself: level shapes, downsamples, pixel size and its source."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from napari_dre_slcl.errors import SlideError

__all__ = ["SlideInfo", "level_downsample", "pixel_size"]

USER_MPP = (0.05, 20.0)
TIFF_MPP = (0.05, 10.0)
AXIS_TOLERANCE = 0.02
UM_PER_UNIT = {"inch": 25_400.0, "centimeter": 10_000.0}


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
        Where `mpp` came from, or why it is unknown.
    objective_power : float or None
        As written in the file; reported, never used.
    tile_shape : (int, int)
        (height, width) in pixels of the tiles in which the file stores level 0.
    associated_images : tuple of str
        Names only. Label and macro images may show patient names and are never read.
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


def pixel_size(
    name: str, properties: Mapping[str, str], user_mpp: float | None
) -> tuple[float | None, str]:
    """Decide on µm per level-0 pixel: the user's value, then the vendor's, then TIFF resolution.

    Parameters
    ----------
    name : str
        Of the slide, for the message.
    properties : mapping
        OpenSlide's names (`openslide.mpp-x`, `tiff.XResolution`, ...).
    user_mpp : float or None
        Wins when given; 0.05 to 20.

    Returns
    -------
    mpp : float or None
    source : str

    Raises
    ------
    SlideError
        If `user_mpp` is outside 0.05 to 20.
    """
    if user_mpp is not None:
        if not USER_MPP[0] <= user_mpp <= USER_MPP[1]:
            raise SlideError(
                f"Slide '{name}': a pixel size of {user_mpp:g} µm is not plausible; "
                f"give mpp between {USER_MPP[0]:g} and {USER_MPP[1]:g}."
            )
        return float(user_mpp), "user"
    is_tiff = properties.get("openslide.vendor") == "generic-tiff"
    vendor_source = "TIFF resolution" if is_tiff else "vendor property"
    reasons = []
    for values, limits, source in (
        (_vendor_mpp(properties), TIFF_MPP if is_tiff else USER_MPP, vendor_source),
        (_tiff_mpp(properties), TIFF_MPP, "TIFF resolution"),
    ):
        mpp, reason = _agree(values, limits, source)
        if mpp is not None:
            return mpp, source
        reasons.append(reason)
    return None, next((f"unknown, {reason}" for reason in reasons if reason), "unknown")


def _agree(
    values: Sequence[float], limits: tuple[float, float], source: str
) -> tuple[float | None, str]:
    """Return the mean of the y and x values if they are plausible and agree, else why not."""
    if len(values) != 2:
        return None, ""
    if not all(limits[0] <= value <= limits[1] for value in values):
        return None, f"{source} of {values[0]:g} x {values[1]:g} µm is not plausible"
    if max(values) > min(values) * (1 + AXIS_TOLERANCE):
        return None, f"{source} differs between axes: y {values[0]:g}, x {values[1]:g} µm"
    return sum(values) / 2, ""


def _vendor_mpp(properties: Mapping[str, str]) -> list[float]:
    return _numbers(properties, ("openslide.mpp-y", "openslide.mpp-x"))


def _tiff_mpp(properties: Mapping[str, str]) -> list[float]:
    unit_um = UM_PER_UNIT.get(properties.get("tiff.ResolutionUnit", "").lower())
    per_unit = _numbers(properties, ("tiff.YResolution", "tiff.XResolution"))
    if unit_um is None or not all(per_unit):
        return []
    return [unit_um / value for value in per_unit]


def _numbers(properties: Mapping[str, str], keys: tuple[str, str]) -> list[float]:
    try:
        values = [float(properties[key]) for key in keys]
    except (KeyError, ValueError):
        return []
    return values if all(math.isfinite(value) for value in values) else []
