"""Slides as different programs store them: facts, pixels and places, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import openslide
import pytest
import tifffile
from skimage.registration import phase_cross_correlation

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide

TIFF_RESOLUTION = (0.5, "TIFF resolution")
VENDOR = (0.499, "vendor property")


@dataclass(frozen=True)
class Case:
    """One way to store the drawn pixels, and what `info` must say of it."""

    writer: str
    options: dict
    backend: str = "tiff-jpeg"
    vendor: str = "generic-tiff"
    mpp: tuple = TIFF_RESOLUTION
    factors: tuple = (1, 4)
    associated: tuple = ()
    max_error: float = 4.0  # mean grey levels; JPEG of sharp, noisy tissue loses up to 3.6
    missing: tuple = field(default=())  # (y, x) of tiles that hold no data


def generic(backend="tiff-jpeg", lossless=False, **options):
    return Case("generic", options, backend, max_error=0.0 if lossless else 4.0)


def aperio(backend="tiff-jpeg", max_error=4.0, **options):
    names = ("label", "macro", "thumbnail")
    return Case("aperio", options, backend, "aperio", VENDOR, (1, 4), names, max_error)


def ome(backend="tiff-jpeg", max_error=4.0, **options):
    return Case("ome", options, backend, "ome-tiff", (0.5, "vendor property"), max_error=max_error)


BIG_ENDIAN = {"byteorder": ">"}
CASES = {
    "aperio JPEG": aperio(),
    "aperio JPEG, shared tables": aperio(has_tables=True),
    "aperio JPEG, 4:4:4": aperio(codec="jpeg-444", has_tables=True),
    "aperio JPEG, stored as RGB": aperio(codec="jpeg-rgb", has_tables=True),
    "aperio JPEG 2000, RGB": aperio("openslide", 0.0, codec="j2k-rgb"),
    "aperio JPEG 2000, YCbCr": aperio("openslide", 1.5, codec="j2k-ycbcr"),
    "generic JPEG 4:2:0": generic(codec="jpeg-420"),
    "generic JPEG 4:2:2": generic(codec="jpeg-422"),
    "generic JPEG 4:4:4": generic(codec="jpeg-444"),
    "generic JPEG, shared tables": generic(has_tables=True),
    "generic JPEG, stored as RGB": generic(codec="jpeg-rgb"),
    "generic JPEG, BigTIFF": generic(writer={"bigtiff": True}),
    "generic JPEG, big-endian BigTIFF": generic(writer=BIG_ENDIAN | {"bigtiff": True}),
    "generic JPEG, tiles of 240x320": generic(tile=(240, 320)),
    "generic JPEG, tiles of 112x80": generic(tile=(112, 80)),
    "generic JPEG, tiles larger than the slide": generic(tile=(2048, 2048)),
    "generic LZW": generic("openslide", True, codec="lzw"),
    "generic deflate": generic("openslide", True, codec="deflate"),
    "generic zstd": generic("openslide", True, codec="zstd"),
    "generic uncompressed": generic("openslide", True, codec="none"),
    "generic WebP": Case(
        "generic", {"codec": "webp"}, "tifffile", "tiff", TIFF_RESOLUTION, max_error=0.0
    ),
    "generic JPEG 2000": Case(
        "generic", {"codec": "j2k-rgb"}, "tifffile", "tiff", TIFF_RESOLUTION, max_error=0.0
    ),
    "generic JPEG, big-endian": Case("generic", {"writer": BIG_ENDIAN}, "tiff-jpeg", "tiff"),
    "generic uncompressed, big-endian": Case(
        "generic", {"writer": BIG_ENDIAN, "codec": "none"}, "tifffile", "tiff", max_error=0.0
    ),
    "generic JPEG, missing tiles": Case(
        "generic", {"missing": (0, 14)}, "openslide", missing=((0, 0), (512, 512))
    ),
    "OME-TIFF, JPEG": ome(),
    "OME-TIFF, JPEG stored as RGB": ome(codec="jpeg-rgb"),
    "OME-TIFF, LZW": ome("tifffile", 0.0, codec="lzw"),
    "OME-TIFF, deflate": ome("tifffile", 0.0, codec="deflate"),
    "OME-TIFF, JPEG 2000": ome("tifffile", 0.0, codec="j2k-rgb"),
    "OME-TIFF, WebP": ome("tifffile", 0.0, codec="webp"),
    "QPTIFF, JPEG": Case("qptiff", {}, factors=(1, 2, 4)),
    "QPTIFF, LZW": Case("qptiff", {"codec": "lzw"}, "openslide", factors=(1, 2, 4), max_error=0.0),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return CASES[request.param]


@pytest.fixture(scope="module")
def path(case, writers, drawn, tmp_path_factory):
    return writers[case.writer](tmp_path_factory.mktemp("formats") / "a.tif", drawn, **case.options)


@pytest.fixture(scope="module")
def slide(path):
    with open_slide(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def truth(case, drawn, reduced):
    """Return the pixels that each level was made from."""
    levels = [reduced(drawn, factor).copy() for factor in case.factors]
    for y, x in case.missing:
        levels[0][y : y + 256, x : x + 256] = 255
    return levels


def error(pixels, truth):
    return np.abs(np.subtract(pixels, truth, dtype=np.int16)).mean()


def shift(pixels, truth):
    """Return by how many pixels one picture lies beside the other, at most of both axes."""
    # Summed one by one in single precision: NumPy's sum over so short an axis takes far longer.
    grey = (sum(np.moveaxis(picture, 2, 0).astype(np.float32)) for picture in (pixels, truth))
    return np.abs(phase_cross_correlation(*grey, upsample_factor=20)[0]).max()


def test_facts_are_those_of_the_file(slide, case, drawn):
    info = slide.info
    height, width = drawn.shape[:2]
    assert info.level_shapes == tuple((-(-height // f), -(-width // f)) for f in case.factors)
    assert info.level_downsamples == case.factors
    assert (info.vendor, info.backend) == (case.vendor, case.backend)
    assert info.backend_reason
    assert (info.mpp, info.mpp_source) == (pytest.approx(case.mpp[0]), case.mpp[1])
    assert info.associated_images == case.associated


def test_every_level_holds_the_drawn_pixels_in_their_place(slide, case, truth):
    for number, pixels in enumerate(truth):
        whole = slide.read_region(0, 0, *pixels.shape[:2], level=number)
        assert error(whole, pixels) <= case.max_error
        assert shift(whole, pixels) <= 0.1
        factor = case.factors[number]
        part = slide.read_region(100 * factor, 70 * factor, 90, 120, level=number)
        assert np.array_equal(part, whole[100:190, 70:190])


def test_outside_is_white_and_the_last_pixels_are_tissue(slide, truth):
    for number, pixels in enumerate(truth):
        height, width = pixels.shape[:2]
        whole = slide.read_region(0, 0, height, width, level=number)
        factor = slide.info.level_downsamples[number]
        corner = [round(-10 * factor), round(-20 * factor)]
        beyond = slide.read_region(*corner, height + 40, width + 50, level=number)
        assert np.array_equal(beyond[10 : 10 + height, 20 : 20 + width], whole)
        beyond[10 : 10 + height, 20 : 20 + width] = 255
        assert (beyond == 255).all()
        assert whole[-1, -1].min() < 240


@pytest.mark.parametrize("downsample", [2.0, 2.7])
def test_scaled_reads_show_the_drawn_pixels(slide, case, drawn, truth, downsample):
    from PIL import Image

    size = [round(edge / downsample) for edge in drawn.shape[:2]]
    box = (0, 0, size[1] * downsample, size[0] * downsample)
    expected = Image.fromarray(truth[0]).resize((size[1], size[0]), Image.Resampling.BOX, box=box)
    pixels = slide.read_scaled(0, 0, *size, downsample)
    assert error(pixels, np.asarray(expected)) <= 4
    assert shift(pixels, np.asarray(expected)) <= 0.25


def test_pixels_are_openslides_where_it_reads_them(slide, path, case):
    try:
        handle = openslide.OpenSlide(path)
    except openslide.OpenSlideError:
        assert slide.info.backend_reason == "OpenSlide does not read it"
        return
    with handle:
        for level, (width, height) in enumerate(handle.level_dimensions):
            image = handle.read_region((0, 0), level, (width, height))
            pixels, alpha = np.asarray(image)[..., :3], np.asarray(image)[..., 3] == 255
            ours = slide.read_region(0, 0, height, width, level=level)
            assert ((ours == pixels) | ~alpha[..., None]).all()
            assert alpha.any()


@pytest.mark.parametrize(
    ("name", "convert", "options"),
    [
        ("8-bit grey", lambda rgb: rgb[..., 1], {"photometric": "minisblack"}),
        ("8-bit grey, white is 0", lambda rgb: 255 - rgb[..., 1], {"photometric": "miniswhite"}),
        ("16-bit RGB", lambda rgb: rgb.astype(np.uint16) * 257, {"photometric": "rgb"}),
        (
            "RGB with opacity",
            lambda rgb: np.dstack([rgb, np.full_like(rgb[..., 0], 255)]),
            {"photometric": "rgb", "extrasamples": ["unassalpha"]},
        ),
        (
            "colours one after another",
            lambda rgb: np.moveaxis(rgb, 2, 0).copy(),
            {"photometric": "rgb", "planarconfig": "separate"},
        ),
    ],
)
def test_other_sample_layouts_show_the_drawn_pixels(tmp_path, drawn, name, convert, options):
    path = tmp_path / "odd.tif"
    with tifffile.TiffWriter(path) as writer:
        tags = {"tile": (256, 256), "compression": "deflate", "metadata": None}
        writer.write(convert(drawn), **tags, **options)
    with open_slide(path) as slide:
        pixels = slide.read_region(0, 0, *drawn.shape[:2])
    expected = np.repeat(drawn[..., 1:2], 3, axis=2) if "grey" in name else drawn
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("has_tables", [True, False])
def test_tiff_that_calls_luma_and_chroma_rgb_shows_what_openslide_shows(
    writers, drawn, tmp_path, has_tables
):
    options = {"codec": "jpeg-called-rgb", "has_tables": has_tables}
    path = writers["generic"](tmp_path / "false.tif", drawn, **options)
    with open_slide(path) as slide, openslide.OpenSlide(path) as handle:
        truth = np.asarray(handle.read_region((200, 100), 0, (600, 500)).convert("RGB"))
        assert np.array_equal(slide.read_region(100, 200, 500, 600), truth)
        assert error(truth, drawn[100:600, 200:800]) > 20


def test_strips_are_refused(writers, drawn, tmp_path):
    path = writers["generic"](tmp_path / "strips.tif", drawn, codec="lzw", tile=None)
    with pytest.raises(SlideError, match=r"'strips.tif'.*level 0 is stored in strips; give"):
        open_slide(path)


def test_colours_in_separate_images_are_refused(writers, drawn, tmp_path):
    path = writers["ome"](tmp_path / "planar.ome.tif", drawn, is_planar=True)
    with pytest.raises(SlideError, match=r"'planar.ome.tif'.*3 separate.*; .*RGB"):
        open_slide(path)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32])
def test_deep_samples_are_refused(drawn, tmp_path, dtype):
    path = tmp_path / "deep.tif"
    pixels = (drawn / np.array(255)).astype(dtype)
    tifffile.imwrite(path, pixels, tile=(256, 256), photometric="rgb", metadata=None)
    with pytest.raises(SlideError, match=r"'deep.tif'.*32-bit.*; .*8-bit RGB"):
        open_slide(path)
