"""Real small files with odd headers: each opens, with the value, its source and what is wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide, SlideInfo, open_slide
from napari_dre_slcl.tiles import tile_slide

PIXELS = np.full((256, 320, 3), 200, np.uint8)
WAYS = "with mpp= or --mpp, in the cohort table's mpp column, or in the window's Slide tab"
X_RESOLUTION, Y_RESOLUTION, UNIT = 282, 283, 296

Write = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """A file, and what must be said of it: (code, severity) of every finding, in order."""

    name: str
    write: Write
    mpp: float | None
    source: str
    findings: tuple[tuple[str, str], ...]
    words: str = ""
    suffix: str = ".tif"


def aperio(*fields: str, resolution: tuple[int, int] | None = None) -> Write:
    """Return a writer of an SVS with these fields in its description."""
    text = "|".join(["Aperio Image Library v12.0.0\r\nwritten for a test", *fields])
    options: dict[str, object] = {"description": text}
    if resolution is not None:
        options |= {"resolution": resolution, "resolutionunit": "CENTIMETER"}
    return lambda path: write_tiles(path, **options)


def plain(
    x: int,
    y: int | None = None,
    unit: str = "CENTIMETER",
    description: str | None = None,
    patch: dict[int, bytes] | None = None,
    drop: int | None = None,
) -> Write:
    """Return a writer of a generic TIFF; `patch` overwrites tag values, `drop` takes a tag out."""

    def write(path: Path) -> None:
        resolution = (x, x if y is None else y)
        write_tiles(path, resolution=resolution, resolutionunit=unit, description=description)
        with tifffile.TiffFile(path) as tiff:
            tags = {code: tiff.pages[0].tags[code] for code in (X_RESOLUTION, Y_RESOLUTION, UNIT)}
            places = {code: (tag.offset, tag.valueoffset) for code, tag in tags.items()}
        content = bytearray(path.read_bytes())
        for code, value in (patch or {}).items():
            content[places[code][1] : places[code][1] + len(value)] = value
        if drop is not None:
            content[places[drop][0] : places[drop][0] + 2] = struct.pack("<H", 65_000)
        path.write_bytes(content)

    return write


def ome(attributes: str, x: int | None = None) -> Write:
    """Return a writer of an OME-TIFF with these attributes of Pixels."""
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0" SizeX="320" SizeY="256" {attributes}/>'
        "</Image></OME>"
    )
    return plain(x or 1, unit="NONE" if x is None else "CENTIMETER", description=xml)


def imagej(unit: str, per_unit: int) -> Write:
    """Return a writer of a TIFF as ImageJ calibrates it."""
    return plain(per_unit, unit="NONE", description=f"ImageJ=1.54f\nunit={unit}\nloop=false\n")


def hamamatsu(x: int, y: int, lens: float = 40.0) -> Write:
    """Return a writer of an NDPI of one strip."""
    tags = [
        (271, "s", 0, "Hamamatsu", True),
        (272, "s", 0, "C9600-12", True),
        (65420, "I", 1, 1, True),
        (65421, "f", 1, lens, True),
        *((code, "i", 1, 0, True) for code in (65422, 65423, 65424)),
    ]
    return lambda path: tifffile.imwrite(
        path,
        PIXELS,
        photometric="ycbcr",
        compression="jpeg",
        rowsperstrip=256,
        metadata=None,
        resolution=(x, y),
        resolutionunit="CENTIMETER",
        extratags=tags,
    )


def write_tiles(path: Path, **options: object) -> None:
    tifffile.imwrite(
        path,
        PIXELS,
        tile=(128, 128),
        photometric="rgb",
        compression="jpeg",
        metadata=None,
        **{name: value for name, value in options.items() if value is not None},
    )


def ratio(value: int, denominator: int) -> bytes:
    return struct.pack("<II", value, denominator)


ESTIMATED = ("mpp-estimated", "warning")
VENDOR, TIFF, OBJECTIVE = "vendor property", "TIFF resolution", "objective power"


def svs(
    name: str,
    fields: tuple[str, ...],
    mpp: float | None,
    source: str,
    *findings: tuple[str, str],
    words: str = "",
    resolution: tuple[int, int] | None = None,
) -> Case:
    return Case(name, aperio(*fields, resolution=resolution), mpp, source, findings, words, ".svs")


CASES = [
    # Aperio: the description's MPP and AppMag
    svs("svs_good", ("AppMag = 40", "MPP = 0.2520"), 0.252, VENDOR),
    svs(
        "svs_zero", ("AppMag = 40", "MPP = 0"), 0.25, OBJECTIVE, ("mpp-zero", "warning"), ESTIMATED,
        words="aperio.MPP is '0', which is zero",
    ),
    svs("svs_zero_alone", ("MPP = 0.000",), None, "unknown", ("mpp-zero", "error"), words="0.000"),
    svs(
        "svs_negative", ("AppMag = 20", "MPP = -0.5"), 0.5, OBJECTIVE,
        ("mpp-negative", "warning"), ESTIMATED, words="'-0.5', which is negative",
    ),
    svs(
        "svs_garbage", ("AppMag = 20", "MPP = abc"), 0.5, OBJECTIVE,
        ("mpp-not-a-number", "warning"), ESTIMATED,
        words="'(3 signs, not shown)', which is not a number",
    ),
    svs("svs_nan", ("MPP = NaN",), None, "unknown", ("mpp-not-a-number", "error"), words="'NaN'"),
    svs("svs_infinite", ("MPP = inf",), None, "unknown", ("mpp-infinite", "error"), words="'inf'"),
    svs("svs_overflow", ("MPP = 1e400",), None, "unknown", ("mpp-infinite", "error")),
    svs("svs_hexadecimal", ("MPP = 0x1",), None, "unknown", ("mpp-not-a-number", "error")),
    svs("svs_with_unit", ("MPP = 0.25 um",), None, "unknown", ("mpp-not-a-number", "error")),
    svs("svs_empty", ("MPP =",), None, "unknown", ("mpp-missing", "error"), words="MPP is empty"),
    svs("svs_missing", ("Left = 3",), None, "unknown", ("mpp-missing", "error"), words="none"),
    svs(
        "svs_only_objective", ("AppMag = 40",), 0.25, OBJECTIVE, ESTIMATED,
        words="0.25 µm is an estimate from the 40x objective",
    ),
    svs(
        "svs_comma", ("AppMag = 40", "MPP = 0,25"), 0.25, VENDOR, ("mpp-decimal-comma", "note"),
        words="'0,25', with a comma, and is read as 0.25 µm",
    ),
    svs(
        "svs_nanometres", ("MPP = 252",), None, "unknown", ("mpp-implausible", "error"),
        words="'252' µm per pixel, outside the plausible 0.1 to 10 µm",
    ),
    svs("svs_tiny", ("MPP = 0.00025",), None, "unknown", ("mpp-implausible", "error")),
    svs(
        "svs_twice", ("AppMag = 40", "MPP = 0.25", "MPP = 0.5"), None, "unknown",
        ("mpp-stated-twice", "error"), words="'0.25' and '0.5'",
    ),
    svs("svs_twice_the_same", ("MPP = 0.25", "MPP = 0.2500"), 0.25, VENDOR),
    svs(
        "svs_against_objective", ("AppMag = 40", "MPP = 0.5"), 0.5, VENDOR,
        ("mpp-against-objective", "warning"), words="0.5 µm of aperio.MPP does not fit the 40x",
    ),
    svs(
        "svs_against_resolution", ("AppMag = 40", "MPP = 0.25"), 0.25, VENDOR,
        ("mpp-against-resolution", "warning"), resolution=(30_000, 30_000), words="0.3333 µm",
    ),
    svs(
        "svs_beside_screen_resolution", ("MPP = 0.25",), 0.25, VENDOR, ("mpp-implausible", "note"),
        resolution=(28, 28), words="the 0.25 µm of aperio.MPP is used, so nothing needs doing",
    ),
    svs(
        "svs_falls_back_to_resolution", ("AppMag = 40", "MPP = none"), 0.25, TIFF,
        ("mpp-not-a-number", "warning"), resolution=(40_000, 40_000),
    ),
    svs(
        "svs_strange_objective", ("AppMag = 40x", "MPP = 0.25"), 0.25, VENDOR,
        ("objective-unusable", "note"), words="aperio.AppMag is '40x'",
    ),
    svs(
        "svs_objective_of_zero", ("AppMag = 0",), None, "unknown",
        ("mpp-missing", "error"), ("objective-unusable", "note"),
    ),
    svs(
        "svs_with_control_signs", ("MPP = \x1b[31m" + "9" * 500,), None, "unknown",
        ("mpp-not-a-number", "error"), words="signs, not shown",
    ),
    # Generic TIFF: the resolution tags
    Case("tif_screen", plain(72, unit="INCH"), None, "unknown", (("mpp-implausible", "error"),),
         "'72' pixels per inch, that is 352.8 µm per pixel"),
    Case("tif_zero", plain(0), None, "unknown", (("mpp-zero", "error"),)),
    Case("tif_one_zero", plain(0, 40_000), None, "unknown", (("mpp-zero", "error"),),
         "tiff.XResolution is '0'"),
    Case("tif_no_unit", plain(40_000, unit="NONE"), None, "unknown", (("mpp-unit", "error"),),
         "'40000' x '40000' has the unit 'none', which is no length"),
    Case("tif_unknown_unit", plain(40_000, patch={UNIT: struct.pack("<H", 7)}), None, "unknown",
         (("mpp-unit", "error"),)),
    Case("tif_nothing", plain(1, unit="NONE"), None, "unknown", (("mpp-missing", "error"),)),
    Case("tif_axes_differ", plain(40_000, 20_000), None, "unknown", (("mpp-axes-differ", "error"),),
         "x is 0.25 and y is 0.5 µm per pixel"),
    Case("tif_axes_nearly_agree", plain(40_000, 40_400), 0.25 * (1 + 1 / 1.01) / 2, TIFF, ()),
    Case("tif_huge", plain(4_000_000_000), None, "unknown", (("mpp-implausible", "error"),)),
    Case("tif_zero_denominators",
         plain(9, patch={X_RESOLUTION: ratio(1, 0), Y_RESOLUTION: ratio(0, 0)}), None, "unknown",
         (("mpp-missing", "error"),)),
    Case("tif_zero_denominator_of_x", plain(40_000, patch={X_RESOLUTION: ratio(40_000, 0)}), None,
         "unknown", (("mpp-one-axis", "error"),), "tiff.XResolution is missing"),
    Case("tif_one_axis", plain(40_000, drop=Y_RESOLUTION), None, "unknown",
         (("mpp-one-axis", "error"),), "tiff.YResolution is missing"),
    # ImageJ: a unit of its own in the description
    Case("imagej_micron", imagej("micron", 4), 0.25, TIFF, (("mpp-unit-converted", "note"),),
         "per ImageJ's unit 'micron', and is read as 0.25 µm"),
    Case("imagej_pixel", imagej("pixel", 4), None, "unknown", (("mpp-unit", "error"),)),
    # OME-TIFF: PhysicalSizeX and PhysicalSizeY with units
    Case("ome_micrometre", ome('PhysicalSizeX="0.25" PhysicalSizeY="0.25"'), 0.25, VENDOR, ()),
    Case("ome_escaped_unit", ome('PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m" '
         'PhysicalSizeY="0.25" PhysicalSizeYUnit="&#xB5;m"'), 0.25, VENDOR, ()),
    Case("ome_nanometre", ome('PhysicalSizeX="250" PhysicalSizeXUnit="nm" PhysicalSizeY="250" '
         'PhysicalSizeYUnit="nm"'), 0.25, VENDOR, (("mpp-unit-converted", "note"),), "'250' nm"),
    Case("ome_millimetre", ome("PhysicalSizeX='0.0005' PhysicalSizeXUnit='mm' "
         "PhysicalSizeY='0.0005' PhysicalSizeYUnit='mm'"), 0.5, VENDOR,
         (("mpp-unit-converted", "note"),)),
    Case("ome_pixel", ome('PhysicalSizeX="1" PhysicalSizeXUnit="pixel" PhysicalSizeY="1" '
         'PhysicalSizeYUnit="pixel"'), None, "unknown", (("mpp-unit", "error"),), "'1' in 'pixel'"),
    Case("ome_wrong_unit", ome('PhysicalSizeX="0.25" PhysicalSizeXUnit="mm" PhysicalSizeY="0.25" '
         'PhysicalSizeYUnit="mm"'), None, "unknown", (("mpp-implausible", "error"),), "250 µm"),
    Case("ome_one_axis", ome('PhysicalSizeX="0.25"'), None, "unknown", (("mpp-one-axis", "error"),),
         "PhysicalSizeY is missing"),
    Case("ome_none", ome(""), None, "unknown", (("mpp-missing", "error"),)),
    Case("ome_against_resolution", ome('PhysicalSizeX="0.25" PhysicalSizeY="0.25"', 20_000), 0.25,
         VENDOR, (("mpp-against-resolution", "warning"),)),
    # Hamamatsu: OpenSlide's mpp is the TIFF resolution
    Case("ndpi_good", hamamatsu(40_000, 40_000), 0.25, VENDOR, (), suffix=".ndpi"),
    Case("ndpi_zero", hamamatsu(0, 0), 0.25, OBJECTIVE, (("mpp-zero", "warning"), ESTIMATED),
         suffix=".ndpi"),
    Case("ndpi_axes_differ", hamamatsu(40_000, 20_000), None, "unknown",
         (("mpp-axes-differ", "error"),), suffix=".ndpi"),
    Case("ndpi_wrong_lens", hamamatsu(40_000, 40_000, lens=20.0), 0.25, VENDOR,
         (("mpp-against-objective", "warning"),), suffix=".ndpi"),
]  # fmt: skip
ODD = [case for case in CASES if case.findings]


def opened(case: Case, folder: Path) -> Slide:
    path = folder / f"{case.name}{case.suffix}"
    case.write(path)
    return open_slide(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_odd_header_is_told_and_nothing_is_guessed_silently(case: Case, tmp_path: Path) -> None:
    with opened(case, tmp_path) as slide:
        info = slide.info
    assert info.mpp == (None if case.mpp is None else pytest.approx(case.mpp, rel=1e-6))
    assert info.mpp_source == case.source
    assert tuple((found.code, found.severity) for found in info.findings) == case.findings
    sentences = [found.sentence for found in info.findings]
    for sentence in sentences:
        assert sentence.startswith(f"Slide '{case.name}{case.suffix}'")
        assert sentence.endswith(".")
        assert sentence.isprintable()
        assert len(sentence) < 400
    assert case.words in " ".join(sentences)
    for found in info.findings:
        assert (WAYS in found.sentence) == (found.severity != "note")
    assert SlideInfo.model_validate_json(info.model_dump_json()) == info


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.mpp is None], ids=lambda case: case.name
)
def test_slide_without_a_size_is_not_tiled(case: Case, tmp_path: Path) -> None:
    with opened(case, tmp_path) as slide, pytest.raises(SlideError) as refused:
        tile_slide(slide)
    assert str(refused.value) == slide.info.findings[0].sentence
    assert WAYS in str(refused.value)


def test_corpus_is_large_and_has_every_kind_of_finding() -> None:
    codes = {code for case in CASES for code, _ in case.findings}
    assert len(ODD) >= 25
    assert codes >= {
        "mpp-missing", "mpp-zero", "mpp-negative", "mpp-not-a-number", "mpp-infinite",
        "mpp-implausible", "mpp-axes-differ", "mpp-one-axis", "mpp-unit", "mpp-unit-converted",
        "mpp-decimal-comma", "mpp-stated-twice", "mpp-against-objective", "mpp-against-resolution",
        "mpp-estimated", "objective-unusable",
    }  # fmt: skip
