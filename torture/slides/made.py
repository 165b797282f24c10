"""Sound slides to spoil, small, as scanners write them: TIFF, SVS, NDPI and DICOM."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

__all__ = ["REAL", "make_slides"]

Pixels = NDArray[np.uint8]
SHAPE = (512, 640)
TILE_PX = 128
REAL = ("CMU-1-Small-Region.svs", "test3-DAPI-2-387.ndpi", "dicom_cmu-1-small-region")
"""Public slides of formats that nobody but a scanner writes whole, spoiled where they are there."""
_APERIO = "Aperio Image Library v12.0.15\r\n640x512 [0,0 640x512] (128x128) {} Q=90"


def make_slides(folder: Path, real: Path | None) -> dict[str, Path]:
    """Write one slide of each kind.

    Parameters
    ----------
    folder : Path
        To write into.
    real : Path or None
        A folder that may hold the slides of `REAL`.

    Returns
    -------
    dict of str to Path
        The format's name, and a file, or the folder of a DICOM slide.
    """
    picture = _picture()
    made = {
        "TIFF": _tiff(folder / "plain.tif", picture, "jpeg"),
        "TIFF, LZW": _tiff(folder / "lzw.tif", picture, "lzw"),
        "OME-TIFF": _ome(folder / "deflate.ome.tif", picture),
        "OME-TIFF, JPEG 2000": _ome(folder / "j2k.ome.tif", picture, 34712),
        "SVS": _svs(folder / "jpeg.svs", picture, "jpeg"),
        "SVS, JPEG 2000": _svs(folder / "j2k.svs", picture, "j2k"),
        "NDPI": _ndpi(folder / "made.ndpi", picture),
        "DICOM": _dicom(folder / "dicom", picture),
    }
    for name in REAL if real is not None else ():
        assert real is not None  # for mypy
        if (real / name).exists():
            made[f"real {name}"] = real / name
    return made


def _picture() -> Pixels:
    """Return tissue-like pixels on glass."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(SHAPE[0] // 8, SHAPE[1] // 8))
    smooth = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize(SHAPE[::-1]))
    pink = np.array([205, 140, 185]) + 30 * smooth[..., None] + rng.normal(0, 5, (*SHAPE, 1))
    picture: Pixels = np.clip(pink, 0, 255).astype(np.uint8)
    picture[:100] = picture[:, :80] = 243
    return picture


def _smaller(picture: Pixels, factor: int) -> Pixels:
    smaller: Pixels = np.asarray(Image.fromarray(picture).reduce(factor))
    return smaller


def _tiff(path: Path, picture: Pixels, codec: str) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        for factor in (1, 4):
            tiff.write(
                _smaller(picture, factor),
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression=codec,
                subfiletype=int(factor > 1),
                resolution=(2e4, 2e4),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
    return path


def _ome(path: Path, picture: Pixels, codec: int = 8) -> Path:
    """Write an OME-TIFF whose coarser level is a SubIFD; 8 is deflate."""
    about = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    options: dict[str, Any] = {"tile": (TILE_PX, TILE_PX), "photometric": "rgb"}
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as tiff:
        tiff.write(picture, subifds=1, metadata=about, compression=codec, **options)
        small = _smaller(picture, 4)
        tiff.write(small, subfiletype=1, metadata=None, compression=codec, **options)
    return path


def _svs(path: Path, picture: Pixels, codec: str) -> Path:
    """Write level 0, a thumbnail, a coarse level, a label and a macro image, as Aperio does."""
    encode = _j2k if codec == "j2k" else _jpeg
    tags: dict[str, Any] = {"compression": 7, "photometric": 6, "subsampling": (2, 2)}
    if codec == "j2k":
        tags = {"compression": 33005, "photometric": 2}
    first = _APERIO.format("J2K" if codec == "j2k" else "JPEG/RGB")
    plain: dict[str, Any] = {"photometric": "rgb", "metadata": None, "rowsperstrip": 64}
    with tifffile.TiffWriter(path) as tiff:
        for factor in (1, 4):
            small = _smaller(picture, factor)
            about = f"{first}|AppMag = 20|MPP = 0.5" if factor == 1 else first
            tiff.write(
                (encode(tile) for tile in _tiles(small)),
                shape=small.shape,
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                description=about,
                metadata=None,
                **tags,
            )
            if factor == 1:
                tiff.write(_smaller(picture, 8), description=first, compression="jpeg", **plain)
        for name, kind in (("label", 1), ("macro", 9)):
            text = f"Aperio Image Library v12.0.15\r\n{name} 80x64"
            small = _smaller(picture, 8)
            tiff.write(small, description=text, subfiletype=kind, compression="lzw", **plain)
    return path


def _tiles(picture: Pixels) -> list[Pixels]:
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, -height % TILE_PX), (0, -width % TILE_PX), (0, 0)), mode="edge")
    return [
        np.ascontiguousarray(padded[y : y + TILE_PX, x : x + TILE_PX])
        for y in range(0, height, TILE_PX)
        for x in range(0, width, TILE_PX)
    ]


def _jpeg(tile: Pixels, subsampling: str = "420") -> bytes:
    options: dict[str, Any] = {
        "colorspace": "rgb",
        "outcolorspace": "ycbcr",
        "subsampling": subsampling,
    }
    return bytes(imagecodecs.jpeg8_encode(tile, level=90, **options))


def _j2k(tile: Pixels) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(tile, level=0, codecformat="j2k"))


def _ndpi(path: Path, picture: Pixels) -> Path:
    """Write Hamamatsu's own TIFF: pointers of 8 bytes, one JPEG per level with restart markers."""
    content = bytearray(b"II*\0" + bytes(8))
    place = 4  # of the pointer to the next page
    for factor, lens in ((1, 20.0), (4, 5.0), (8, -1.0)):
        small = _smaller(picture, factor)
        packed = io.BytesIO()
        Image.fromarray(small).save(
            packed, "JPEG", quality=90, subsampling="4:4:4", restart_marker_rows=1
        )
        data = packed.getvalue()
        offset = len(content)
        content += data
        make, model = (_append(content, text) for text in (b"Hamamatsu\0", b"NanoZoomer\0"))
        ratio = _append(content, struct.pack("<II", 20_000, 1))
        height, width = small.shape[:2]
        fields = (
            (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 7),
            (262, 3, 1, 6), (271, 2, 10, make), (272, 2, 11, model), (273, 4, 1, offset),
            (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)), (282, 5, 1, ratio),
            (283, 5, 1, ratio), (296, 3, 1, 3), (65420, 4, 1, 1),
            (65421, 11, 1, struct.unpack("<I", struct.pack("<f", lens))[0]), (65424, 9, 1, 0),
        )  # fmt: skip
        content += bytes(len(content) % 2)
        struct.pack_into("<Q", content, place, len(content))
        content += struct.pack("<H", len(fields))
        content += b"".join(struct.pack("<HHII", *field) for field in fields)
        place = len(content)
        content += bytes(8 + 4 * len(fields))  # the high halves of the values
    path.write_bytes(content)
    return path


def _append(content: bytearray, data: bytes) -> int:
    place = len(content)
    content += data
    return place


def _dicom(folder: Path, picture: Pixels) -> Path:
    """Write one file per level."""
    from pydicom.uid import generate_uid

    folder.mkdir()
    series = generate_uid(entropy_srcs=["a series"])
    for factor in (1, 4):
        _dicom_level(folder / f"level-{factor}.dcm", _smaller(picture, factor), factor, series)
    return folder


def _dicom_level(path: Path, picture: Pixels, factor: int, series: str) -> None:
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    file = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.0005 * factor] * 2, 0.001
    shared.PixelMeasuresSequence = [measures]
    frames = [_jpeg(tile, "422") for tile in _tiles(picture)]
    values: dict[str, Any] = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "SeriesInstanceUID": series,
        "StudyInstanceUID": generate_uid(entropy_srcs=["a study"]),
        "Modality": "SM",
        "Manufacturer": "made to be spoiled",
        "ImageType": (
            "ORIGINAL\\PRIMARY\\VOLUME\\NONE"
            if factor == 1
            else "DERIVED\\PRIMARY\\VOLUME\\RESAMPLED"
        ).split("\\"),
        "Rows": TILE_PX,
        "Columns": TILE_PX,
        "TotalPixelMatrixRows": picture.shape[0],
        "TotalPixelMatrixColumns": picture.shape[1],
        "TotalPixelMatrixFocalPlanes": 1,
        "DimensionOrganizationType": "TILED_FULL",
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "YBR_FULL_422",
        "PlanarConfiguration": 0,
        "PixelRepresentation": 0,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "LossyImageCompression": "01",
        "SharedFunctionalGroupsSequence": [shared],
        "NumberOfFrames": len(frames),
        "PixelData": encapsulate(frames),
    }
    for name, value in values.items():
        setattr(file, name, value)
    file["PixelData"].VR = "OB"
    file["PixelData"].is_undefined_length = True
    save: Callable[..., None] = file.save_as
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(path, enforce_file_format=True)
