"""Which pages of a TIFF are the slide: the largest and its smaller copies, wherever they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_dre_slcl.slide import open_slide

LABEL = np.full((120, 90, 3), (255, 0, 255), np.uint8)
COMPRESSIONS = ("jpeg", "deflate")


def write_pages(path: Path, pages, compression="jpeg", **options) -> Path:
    """Write pages of (pixels, µm per pixel or None, further options)."""
    with tifffile.TiffWriter(path, **options) as writer:
        for pixels, mpp, more in pages:
            if mpp is not None:
                more = {**more, "resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": 3}
            writer.write(
                pixels, tile=(128, 128), photometric="rgb", compression=compression, **more
            )
    return path


@pytest.fixture
def image(tissue_image):
    return tissue_image(1200, 1400, (0, 0, 1200, 1400))


def shrunk(image, factor):
    return np.asarray(Image.fromarray(image).reduce(factor))


def difference(slide, level, truth):
    pixels = slide.read_region(0, 0, *truth.shape[:2], level).astype(int)
    return np.abs(pixels - truth).mean()


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("is_flagged", [True, False])
def test_largest_page_is_level_0_with_its_own_pixel_size(tmp_path, image, compression, is_flagged):
    pages = [
        (shrunk(image, factor), 0.25 * factor, {"subfiletype": int(is_flagged and factor > 1)})
        for factor in (4, 2, 1)
    ]
    with open_slide(write_pages(tmp_path / "coarse_first.tif", pages, compression)) as slide:
        assert slide.info.level_shapes == ((1200, 1400), (600, 700), (300, 350))
        assert slide.info.mpp == pytest.approx(0.25)
        for level, factor in enumerate((1, 2, 4)):
            assert difference(slide, level, shrunk(image, factor)) < 8


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("is_first", [True, False])
def test_label_among_the_pages_is_no_level(tmp_path, image, compression, is_first):
    levels = [
        (shrunk(image, factor), 0.25 * factor, {"subfiletype": int(factor > 1)})
        for factor in (1, 2, 4)
    ]
    label = [(LABEL, None, {"subfiletype": 1})]
    pages = label + levels if is_first else levels + label
    with open_slide(write_pages(tmp_path / "label.tif", pages, compression)) as slide:
        assert slide.info.level_shapes == ((1200, 1400), (600, 700), (300, 350))
        assert slide.info.mpp == pytest.approx(0.25)
        assert difference(slide, 2, shrunk(image, 4)) < 8


def test_label_is_no_level_where_only_openslide_reads_the_colours(tmp_path, image):
    deep = image.astype(np.uint16) * 257
    pages = [
        (deep, 0.25, {}),
        (deep[::4, ::4], 1.0, {"subfiletype": 1}),
        (LABEL.astype(np.uint16) * 257, None, {"subfiletype": 1}),
    ]
    with open_slide(write_pages(tmp_path / "deep.tif", pages, "deflate")) as slide:
        assert slide.info.backend == "openslide"
        assert slide.info.level_shapes == ((1200, 1400), (300, 350))
        assert difference(slide, 1, image[::4, ::4]) < 1


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_ome_tiff_that_begins_with_a_macro_image(tmp_path, image, compression):
    size = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    pages = [
        (np.full((300, 400, 3), 9, np.uint8), None, {"metadata": {"axes": "YXS"}}),
        (image, None, {"metadata": size, "subifds": 1}),
        (shrunk(image, 4), None, {"subfiletype": 1, "metadata": None}),
    ]
    path = write_pages(tmp_path / "macro.ome.tif", pages, compression, ome=True)
    with open_slide(path) as slide:
        assert slide.info.level_shapes == ((1200, 1400), (300, 350))
        assert difference(slide, 0, image) < 8
        assert difference(slide, 1, shrunk(image, 4)) < 8


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_ome_tiff_in_several_files_shows_its_own_pixels(tmp_path, tissue_image, compression):
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:{own}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
        'Type="uint8" SizeX="1300" SizeY="900" SizeC="3" SizeZ="2" SizeT="1">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="3"/>{planes}</Pixels></Image></OME>'
    )
    planes = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" FirstC="0" FirstT="0" PlaneCount="1">'
        f'<UUID FileName="{name}.ome.tif">urn:uuid:{name}</UUID></TiffData>'
        for z, name in enumerate("ab")
    )
    images = {}
    for seed, name in enumerate("ab"):
        base = np.roll(tissue_image(900, 1300, (0, 0, 900, 1300)), 131 * seed, axis=1)
        images[name] = base if seed == 0 else 255 - base // 2
        options = {"description": xml.format(own=name, planes=planes), "metadata": None}
        pages = [
            (images[name], None, {**options, "subifds": 1}),
            (shrunk(images[name], 4), None, {"subfiletype": 1, "metadata": None}),
        ]
        write_pages(tmp_path / f"{name}.ome.tif", pages, compression)
    for name, image in images.items():
        with open_slide(tmp_path / f"{name}.ome.tif") as slide:
            assert slide.info.level_shapes == ((900, 1300), (225, 325))
            assert "file-cut-off" not in {finding.code for finding in slide.info.findings}
            assert difference(slide, 0, image) < 8
            assert difference(slide, 1, shrunk(image, 4)) < 8
