"""TIFF slides that name a patient in every field which a scanner may fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from torture.private.identities import Identities

__all__ = ["CYAN", "MAGENTA", "write_aperio", "write_ndpi_like", "write_odd", "write_ome"]

MAGENTA, CYAN = (255, 0, 255), (0, 255, 255)
_ASCII = 2
_TEXT_TAGS = {
    269: "DocumentName",
    271: "Make",
    272: "Model",
    285: "PageName",
    305: "Software",
    315: "Artist",
    316: "HostComputer",
    337: "TargetPrinter",
    33432: "Copyright",
    42112: "GDAL_METADATA",
    65000: "private 65000",
    65427: "NDPI Reference",
    65442: "NDPI ScannerSerialNumber",
    65449: "NDPI Properties",
    65480: "private 65480",
}
_APERIO = ("ScanScope ID", "Filename", "Title", "User", "Patient", "MRN", "Accession", "Comment")

Pixels = NDArray[np.uint8]


def write_aperio(path: Path, pixels: Pixels, who: Identities, label_px: int = 300) -> Path:
    """Write an SVS whose description, label and macro image name a patient."""
    about = "Aperio Image Library v12.0.0\r\n"
    height, width = pixels.shape[:2]
    fields = "|".join(f"{name} = {who.word('header', f'aperio.{name}')}" for name in _APERIO)
    born = who.date("header", "aperio.DOB")
    text = f"{about}{width}x{height}|AppMag = 20|MPP = 0.5|DOB = {born}|{fields}"
    plain: dict[str, Any] = {"photometric": "rgb", "metadata": None, "rowsperstrip": 64}
    with tifffile.TiffWriter(path) as writer:
        tiles = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", "metadata": None}
        writer.write(pixels, description=text, extratags=_tags(who, "svs"), **tiles)
        writer.write(pixels[::4, ::4], description=f"{about}{width // 4}x{height // 4}", **plain)
        for name, color, kind in (("label", MAGENTA, 1), ("macro", CYAN, 9)):
            picture = np.full((label_px, label_px, 3), color, np.uint8)
            said = f"{about}{name} {label_px}x{label_px}|{who.word('header', f'{name} image')}"
            writer.write(picture, description=said, subfiletype=kind, **plain)
    return path


def write_ndpi_like(path: Path, pixels: Pixels, who: Identities) -> Path:
    """Write a tiled TIFF with the text fields of TIFF 6.0 and of Hamamatsu's files."""
    options = _plain() | {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    name = who.word("header", "ImageDescription")
    _write(path, pixels, options | {"description": name}, _tags(who, "tif"))
    return path


def write_ome(path: Path, pixels: Pixels, who: Identities) -> Path:
    """Write an OME-TIFF with an experimenter, a patient and annotations."""
    height, width = pixels.shape[:2]
    names = [who.word("header", f"OME {name}") for name in ("Experimenter", "Image", "Comment")]
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/'
        f'OME/2016-06"><Experimenter ID="Experimenter:0" LastName="{names[0]}"/>'
        f'<Image ID="Image:0" Name="{names[1]}"><Description>{names[2]}</Description>'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{width}" '
        f'SizeY="{height}" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="0.5" '
        'PhysicalSizeY="0.5"><Channel ID="Channel:0" SamplesPerPixel="3"/>'
        "<TiffData/></Pixels></Image></OME>"
    )
    _write(path, pixels, _plain() | {"description": text}, _tags(who, "ome"))
    return path


def write_odd(path: Path, pixels: Pixels, who: Identities) -> Path:
    """Write an SVS with names where numbers belong, which are complained of."""
    height, width = pixels.shape[:2]
    names = {name: who.word("header", f"aperio.{name}, a number") for name in ("MPP", "AppMag")}
    text = f"Aperio Image Library v12.0.0\r\n{width}x{height}|" + "|".join(
        f"{name} = {word}" for name, word in names.items()
    )
    _write(path, pixels, _plain() | {"description": text}, _tags(who, "odd"))
    return path


def _write(path: Path, pixels: Pixels, options: dict[str, Any], tags: list[Any]) -> None:
    with tifffile.TiffWriter(path, ome=False) as writer:
        writer.write(pixels, extratags=tags, **options)


def _plain() -> dict[str, Any]:
    return {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", "metadata": None}


def _tags(who: Identities, file: str) -> list[tuple[int, int, int, str, bool]]:
    # tifffile writes Software itself.
    return [
        (code, _ASCII, 0, who.word("header", f"{file} {name}"), True)
        for code, name in _TEXT_TAGS.items()
        if code != 305
    ]
