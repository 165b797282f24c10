"""``dre-slcl associated``: other images in a slide file: their names, or one after a warning."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.cli.console import say, status
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.associated import PATIENT_WARNING, read_associated_image

__all__ = ["CONSENT", "list_images", "save_image"]

CONSENT = "--i-may-see-patient-names"
"""The option without which no pixel is read."""


def list_images(path: Path) -> None:
    """Print the names of the images, one per line, and the warning to standard error.

    Parameters
    ----------
    path : Path
        Slide file or DICOM folder.

    Raises
    ------
    SlideError
        If the slide cannot be opened.
    """
    with open_slide(path) as slide:
        names = slide.info.associated_images
    if not names:
        status().print(f"Slide '{path.name}' has no other images that can be read.", soft_wrap=True)
        return
    status().print(f"Warning: {PATIENT_WARNING}", soft_wrap=True, style="yellow")
    for name in names:
        say(name)


def save_image(path: Path, name: str, out: Path | None, has_consent: bool) -> None:
    """Save one image as PNG.

    Parameters
    ----------
    path : Path
        Slide file or DICOM folder.
    name : str
        Of the image.
    out : Path or None
        File to write.
    has_consent : bool
        Whether the user gave `CONSENT`.

    Raises
    ------
    SlideError
        If consent or a PNG file name is missing, or there is no such image.
    """
    status().print(f"Warning: {PATIENT_WARNING}", soft_wrap=True, style="yellow")
    if not has_consent:
        raise SlideError(
            f"The {name} image of slide '{path.name}' is not read without your word for it. "
            f"If you may see patient data, repeat the command with {CONSENT}."
        )
    if out is None or out.suffix.lower() != ".png":
        raise SlideError(
            f"Where shall the {name} image of slide '{path.name}' go? Give --out FILE.png."
        )
    pixels = read_associated_image(path, name)
    try:
        with atomic_writer(out) as stream:
            Image.fromarray(pixels).save(stream, "PNG")
    except OSError as error:
        raise SlideError(f"The image '{out}' cannot be written: {error.strerror}.") from error
    say(f"Wrote {out}")
