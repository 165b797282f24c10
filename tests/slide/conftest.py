"""Writers of slides as different programs store them: small, but the real formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Encode = Callable[[Pixels], bytes]
Spoiled = tuple[Path, Path]
DAMAGED_TILE = 13  # row 2, column 1 of the file's tiles

APERIO = "Aperio Image Library v12.0.15\r\n{w}x{h} [0,0 {w}x{h}] ({t}x{t}) {codec} Q=90"
QPI = """<?xml version="1.0" encoding="utf-16"?>
<PerkinElmer-QPI-ImageDescription>
<DescriptionVersion>2</DescriptionVersion><AcquisitionSoftware>made for a test</AcquisitionSoftware>
<ImageType>{kind}</ImageType><Objective>20x</Objective>
</PerkinElmer-QPI-ImageDescription>"""


def _jpeg(subsampling: str | None, level: int = 92) -> Encode:
    """Return an encoder: luma and chroma at a subsampling, or, with None, stored as RGB."""

    def encode(tile: Pixels) -> bytes:
        colours = {"outcolorspace": "ycbcr", "subsampling": subsampling}
        if subsampling is None:
            colours = {"outcolorspace": "rgb"}
        return imagecodecs.jpeg8_encode(tile, level=level, colorspace="rgb", **colours)

    return encode


def _j2k(tile: Pixels) -> bytes:
    return imagecodecs.jpeg2k_encode(tile, level=0, codecformat="j2k")


def _j2k_ycbcr(tile: Pixels) -> bytes:
    ycbcr = np.asarray(Image.fromarray(tile).convert("YCbCr"))
    return imagecodecs.jpeg2k_encode(ycbcr, level=0, codecformat="j2k", mct=False)


# Without the last entry tifffile would tag the pixels as YCbCr.
RGB_JPEG = {"compression": 7, "photometric": 2, "compressionargs": {"outcolorspace": "rgb"}}
# name -> TIFF tags, and how one tile becomes bytes (None: tifffile does it).
CODECS: dict[str, tuple[dict[str, Any], Encode | None]] = {
    "jpeg-420": ({"compression": 7, "photometric": 6, "subsampling": (2, 2)}, _jpeg("420")),
    "jpeg-422": ({"compression": 7, "photometric": 6, "subsampling": (2, 1)}, _jpeg("422")),
    "jpeg-444": ({"compression": 7, "photometric": 6, "subsampling": (1, 1)}, _jpeg("444")),
    "jpeg-rgb": (RGB_JPEG, _jpeg(None)),
    "jpeg-called-rgb": (RGB_JPEG, _jpeg("420")),
    "j2k-rgb": ({"compression": 33005, "photometric": 2}, _j2k),
    "j2k-ycbcr": ({"compression": 33003, "photometric": 2}, _j2k_ycbcr),
    "lzw": ({"compression": 5, "photometric": 2, "predictor": True}, None),
    "deflate": ({"compression": 8, "photometric": 2}, None),
    "webp": ({"compression": 50001, "photometric": 2, "compressionargs": {"level": 101}}, None),
    "zstd": ({"compression": 50000, "photometric": 2}, None),
    "none": ({"photometric": 2}, None),
}


def shrink(image: Pixels, factor: int) -> Pixels:
    """Return a level of the pyramid: means, partial cells at the far edges included."""
    return np.asarray(Image.fromarray(image).reduce(factor))


def tiles_of(image: Pixels, tile: tuple[int, int]) -> Iterator[Pixels]:
    """Yield whole tiles row by row; what lies outside the image repeats its last pixels."""
    height, width = tile
    pad = [(0, -size % edge) for size, edge in zip(image.shape, tile, strict=False)]
    padded = np.pad(image, [*pad, (0, 0)], mode="edge")
    for y in range(0, image.shape[0], height):
        for x in range(0, image.shape[1], width):
            yield np.ascontiguousarray(padded[y : y + height, x : x + width])


def split_jpeg(jpeg: bytes) -> tuple[bytes, bytes]:
    """Split a JPEG picture into its tables and what is left: TIFF's "abbreviated" streams."""
    tables, rest, place = b"\xff\xd8", b"\xff\xd8", 2
    while jpeg[place + 1] != 0xDA:  # until the scan
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        if jpeg[place + 1] in (0xDB, 0xC4):
            tables += jpeg[place:end]
        elif jpeg[place + 1] == 0xC0:
            rest += jpeg[place:end]
        place = end
    return tables + b"\xff\xd9", rest + jpeg[place:]


def write_level(
    writer: tifffile.TiffWriter,
    image: Pixels,
    codec: str = "jpeg-420",
    tile: tuple[int, int] | None = (256, 256),
    missing: Sequence[int] = (),
    has_tables: bool = False,
    **options: Any,
) -> None:
    """Write one level; `missing` tiles get no data, None as `tile` makes strips."""
    tags, encode = CODECS[codec]
    options = {"metadata": None, **tags, **options}
    if tile is None or encode is None:
        layout = {"rowsperstrip": 64} if tile is None else {"tile": tile}
        writer.write(image, **layout, **options)
        return
    data = [encode(one) for one in tiles_of(image, tile)]
    if has_tables:
        options["jpegtables"] = split_jpeg(data[0])[0]
        data = [split_jpeg(one)[1] for one in data]
    data = [b"" if index in missing else one for index, one in enumerate(data)]
    writer.write(iter(data), shape=image.shape, dtype=image.dtype, tile=tile, **options)


def _resolution(mpp: float | None, factor: int) -> dict[str, Any]:
    if mpp is None:
        return {}
    return {"resolution": (1e4 / mpp / factor,) * 2, "resolutionunit": "CENTIMETER"}


def write_generic(
    path: Path,
    image: Pixels,
    factors: Sequence[int] = (1, 4),
    mpp: float | None = 0.5,
    writer: dict[str, Any] | None = None,
    **level: Any,
) -> Path:
    """Write a pyramidal TIFF, one page per level; `level` as `write_level` takes it."""
    with tifffile.TiffWriter(path, **(writer or {})) as tiff:
        for factor in factors:
            options = {"subfiletype": int(factor > 1), **_resolution(mpp, factor), **level}
            write_level(tiff, shrink(image, factor), **options)
            level.pop("missing", None)
    return path


def write_aperio(
    path: Path,
    image: Pixels,
    codec: str = "jpeg-420",
    factors: Sequence[int] = (1, 4),
    extras: bool = True,
    **level: Any,
) -> Path:
    """Write an SVS: level 0, thumbnail, the other levels, label, macro."""
    height, width = image.shape[:2]
    words = {"w": width, "h": height, "t": 240, "codec": "J2K" if "j2k" in codec else "JPEG/RGB"}
    first = APERIO.format(**words)
    with tifffile.TiffWriter(path) as tiff:
        for factor in factors:
            about = f"{first}|AppMag = 20|MPP = 0.4990" if factor == 1 else first
            options = {"codec": codec, "tile": (240, 240), "description": about, **level}
            write_level(tiff, shrink(image, factor), **options)
            if factor == 1 and extras:
                write_level(tiff, shrink(image, 8), "jpeg-444", None, description=first)
        if extras:
            shade = np.full((90, 120, 3), (250, 240, 20), np.uint8)
            name = "Aperio Image Library v12.0.15\r\n"
            for number, (title, kind) in enumerate((("label 120x90", 1), ("macro 120x90", 9))):
                options = {"description": name + title, "subfiletype": kind}
                write_level(tiff, shade - number, ("lzw", "jpeg-444")[number], None, **options)
    return path


def write_ome(
    path: Path,
    image: Pixels,
    codec: str = "jpeg-420",
    factors: Sequence[int] = (1, 4),
    is_planar: bool = False,
) -> Path:
    """Write an OME-TIFF whose coarser levels are SubIFDs; `is_planar` keeps colours apart."""
    about: dict[str, Any] = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    about |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as tiff:
        for factor in factors:
            pixels = shrink(image, factor)
            if is_planar:
                about["axes"] = "CYX"
                pixels = np.moveaxis(pixels, 2, 0)
            nested = {"subifds": len(factors) - 1} if factor == 1 else {"subfiletype": 1}
            metadata = {"metadata": about if factor == 1 else None}
            if is_planar:
                tiff.write(pixels, tile=(256, 256), compression=8, **nested, **metadata)
            else:
                write_level(tiff, pixels, codec, **nested, **metadata)
    return path


def write_qptiff(
    path: Path, image: Pixels, codec: str = "jpeg-420", factors: Sequence[int] = (1, 2, 4)
) -> Path:
    """Write a brightfield QPTIFF: level 0, thumbnail, the other levels, overview, label."""
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for factor in factors:
            kind = "FullResolution" if factor == 1 else "ReducedResolution"
            options = {"description": QPI.format(kind=kind), **_resolution(0.5, factor)}
            write_level(tiff, shrink(image, factor), codec, subfiletype=int(factor > 1), **options)
            if factor == 1:
                text = QPI.format(kind="Thumbnail")
                write_level(tiff, shrink(image, 8), codec, None, description=text, subfiletype=1)
        for kind in ("Overview", "Label"):
            write_level(tiff, shrink(image, 8), "lzw", None, description=QPI.format(kind=kind))
    return path


class Spoiler:
    """Sound slides of every kind, and ways to spoil a copy of one.

    Every way returns the path of the copy and that of the sound slide.
    """

    def __init__(self, folder: Path, drawn: Pixels) -> None:
        self.folder, self.drawn = folder, drawn
        self.pyramid = write_generic(folder / "pyramid.tif", drawn)
        self.flat = write_generic(folder / "flat.tif", drawn, factors=(1,))
        self.lzw = write_generic(folder / "lzw.tif", drawn, factors=(1,), codec="lzw")
        self.aperio = write_aperio(folder / "a.svs", drawn, factors=(1,), has_tables=True)
        self.j2k = write_aperio(folder / "j2k.svs", drawn, "j2k-rgb", (1,), extras=False)
        self.upside_down = write_generic(folder / "down.tif", drawn, factors=(4, 1))
        with tifffile.TiffFile(self.upside_down, mode="r+") as tiff:
            for page, kind in zip(tiff.pages, (0, 1), strict=True):
                page.tags["NewSubfileType"].overwrite(kind)  # the first page is the slide
        self.ome = write_ome(folder / "sound.ome.tif", drawn)
        self.ome_deflate = write_ome(folder / "deflate.ome.tif", drawn, "deflate")
        self.ome_j2k = write_ome(folder / "j2k.ome.tif", drawn, "j2k-rgb")
        self.ome_webp = write_ome(folder / "webp.ome.tif", drawn, "webp")

    def copy(self, source: Path, content: bytes) -> Spoiled:
        """Write other content under the same suffix."""
        suffix = "".join(source.suffixes)
        path = self.folder / f"bad{len(list(self.folder.iterdir()))}{suffix}"
        path.write_bytes(content)
        return path, source

    def cut(self, source: Path, n_bytes: int) -> Spoiled:
        """Copy the first bytes."""
        return self.copy(source, source.read_bytes()[:n_bytes])

    def patched(self, source: Path, *tags: tuple[Any, ...]) -> Spoiled:
        """Copy with other values of the first page's tags: (code, value[, dtype])."""
        path, _ = self.copy(source, source.read_bytes())
        with tifffile.TiffFile(path, mode="r+") as tiff:
            for code, value, *dtype in tags:
                tiff.pages[0].tags[code].overwrite(value, dtype=(dtype or [None])[0])
        return path, source

    def with_tile(self, source: Path, change: Callable[[bytes], bytes]) -> Spoiled:
        """Copy with other bytes in one tile: change(its bytes), cut or padded to their length."""
        with tifffile.TiffFile(source) as tiff:
            offset = tiff.pages[0].dataoffsets[DAMAGED_TILE]
            size = tiff.pages[0].databytecounts[DAMAGED_TILE]
        content = bytearray(source.read_bytes())
        new = change(bytes(content[offset : offset + size]))
        content[offset : offset + size] = new[:size].ljust(size, b"\0")
        return self.copy(source, content)

    def with_place(
        self, source: Path, offset: int | None = None, count: int | None = None, data: bytes = b""
    ) -> Spoiled:
        """Copy whose tile is said to lie elsewhere, with data added at the end of the file."""
        path, _ = self.copy(source, source.read_bytes() + data)
        with tifffile.TiffFile(path, mode="r+") as tiff:
            for name, value in (("TileOffsets", offset), ("TileByteCounts", count)):
                tag = tiff.pages[0].tags[name]
                values = list(tag.value)
                values[DAMAGED_TILE] = values[DAMAGED_TILE] if value is None else value
                tag.overwrite(values)
        return path, source

    def with_jpeg(self, source: Path, data: bytes) -> Spoiled:
        """Copy with a tile that lies at the end of the file, whatever its length."""
        return self.with_place(source, source.stat().st_size, len(data), data)


@pytest.fixture(scope="session")
def drawn(tissue_image: Callable[..., Pixels]) -> Pixels:
    """Pixels to write: 900x1300, no multiple of any tile size, tissue up to two edges."""
    return tissue_image(900, 1300, (120, 150, 900, 1300))


@pytest.fixture(scope="session")
def reduced() -> Callable[[Pixels, int], Pixels]:
    """Return `shrink`: reduced(image, factor) as the writers make their levels."""
    return shrink


@pytest.fixture(scope="session")
def writers() -> dict[str, Callable[..., Path]]:
    """Return the writers by the name of their format: writers["aperio"](path, image, ...)."""
    return {
        "generic": write_generic,
        "aperio": write_aperio,
        "ome": write_ome,
        "qptiff": write_qptiff,
    }


@pytest.fixture(scope="session")
def spoiler(tmp_path_factory: pytest.TempPathFactory, drawn: Pixels) -> Spoiler:
    """Return sound slides and ways to spoil a copy."""
    return Spoiler(tmp_path_factory.mktemp("bad_files"), drawn)
