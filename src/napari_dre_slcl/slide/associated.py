"""The other images in a slide file, such as label and macro: read only where a user asks for one.

Nothing else in this package reads their pixels, because they often show who the patient is.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide.file_to_open import file_to_open
from napari_dre_slcl.slide.openslide_backend import over_white
from napari_dre_slcl.slide.proof import prove
from napari_dre_slcl.slide.remote import fetch, is_remote

__all__ = ["PATIENT_WARNING", "read_associated_image", "read_untried"]

PATIENT_WARNING = (
    "Label and macro images often show the patient's name, birth date or case number. Look at them "
    "only where nobody else can see them, and do not pass them on."
)
"""What a user must have been shown before `read_associated_image` is called."""

MOST_PX = 32 * 10**6


def read_associated_image(path: str | Path, name: str) -> NDArray[np.uint8]:
    """Read a label, macro or thumbnail image. Show `PATIENT_WARNING` to the user before.

    Parameters
    ----------
    path : str or Path
        A slide file, or the folder of a DICOM slide; a URL of either.
    name : str
        One of `SlideInfo.associated_images`.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        White under transparency.

    Raises
    ------
    SlideError
        If there is no such slide or image, or its header claims a size that no image has.
    DamagedSlideError
        If the image cannot be decoded.
    """
    if is_remote(path):
        with fetch(path) as copy:
            return read_associated_image(copy.path, name)
    path = Path(path)
    prove(path, name)
    return read_untried(path, name)


def read_untried(path: Path, name: str) -> NDArray[np.uint8]:
    """As `read_associated_image`, of a local file, whatever comes of it."""
    try:
        with openslide.OpenSlide(str(file_to_open(path))) as handle:
            return _read(handle, path.name, name)
    except openslide.OpenSlideUnsupportedFormatError as error:
        raise _no_such_image(path.name, name, ()) from error
    except openslide.OpenSlideError as error:
        raise DamagedSlideError(
            f"Slide '{path.name}': its {name} image cannot be decoded ({str(error).rstrip('.')}); "
            "copy the file again from its source."
        ) from error


def _read(handle: openslide.OpenSlide, slide_name: str, name: str) -> NDArray[np.uint8]:
    names = sorted(handle.associated_images)
    if name not in names:
        raise _no_such_image(slide_name, name, names)
    width, height = (
        int(handle.properties[f"openslide.associated.{name}.{axis}"])
        for axis in ("width", "height")
    )
    if width * height > MOST_PX:
        raise SlideError(
            f"Slide '{slide_name}': its {name} image claims {height:,} x {width:,} px, more than "
            "can be read; the file is damaged."
        )
    return over_white(handle.associated_images[name])


def _no_such_image(slide_name: str, name: str, names: list[str] | tuple[()]) -> SlideError:
    known = f"it has {', '.join(names)}" if names else "it has none"
    return SlideError(f"Slide '{slide_name}' has no image '{name}' beside its pixels; {known}.")
