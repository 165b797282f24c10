from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.backend import open_backend
from napari_dre_slcl.slide.openslide_backend import OpenSlideBackend

BOXES = [(0, 0, 1024, 1536), (250, 500, 300, 300), (256, 512, 256, 256), (-40, -300, 100, 400)]


@pytest.fixture
def textured(slide_file, tissue_image):
    """A slide that is tissue all over, of odd size, so that edge tiles are padded."""
    return slide_file(image=tissue_image(1000, 1500, (0, 0, 1000, 1500)))


@pytest.fixture
def direct(textured):
    backend = open_backend(textured)
    yield backend
    backend.close()


def test_plain_jpeg_tiles_are_read_directly(direct):
    assert direct.name == "tiff-jpeg"
    assert direct.reductions(0) == (1, 2, 4, 8)


@pytest.mark.parametrize("box", BOXES)
def test_boxes_equal_openslide(textured, direct, box):
    assert np.array_equal(direct.read(0, *box), OpenSlideBackend(textured).read(0, *box))


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_reduced_boxes_are_parts_of_one_reduced_level(direct, reduction):
    height, width = 1000 // reduction, 1500 // reduction
    whole = direct.read(0, 0, 0, height, width, reduction)
    part = direct.read(0, 37, 59, 60, 80, reduction)
    assert np.array_equal(part, whole[37:97, 59:139])
    truth = Image.fromarray(direct.read(0, 0, 0, height * reduction, width * reduction))
    difference = np.abs(whole.astype(int) - np.asarray(truth.reduce(reduction)))
    assert difference.mean() < 2.5


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("shape", [(1003, 1301), (1000, 1023), (767, 511)])
def test_padding_of_edge_tiles_is_not_mixed_in(tmp_path, reduction, shape):
    path = tmp_path / "black.tif"
    tifffile.imwrite(path, np.full((*shape, 3), 200, np.uint8), tile=(256, 256), compression="jpeg")
    with open_slide(path) as slide:
        assert slide.info.backend == "tiff-jpeg"
        height, width = (size // reduction for size in shape)
        inside = slide.read_scaled(0, 0, height, width, float(reduction))
        beyond = slide.read_scaled(0, 0, height + 2, width + 2, float(reduction))
    # Scaling in the DCT domain of the file's own, lossy blocks leaves a level or two.
    assert np.abs(inside.astype(int) - 200).max() <= 2
    assert beyond.min() >= 198
    assert (beyond[-1] == 255).all()
    assert (beyond[:, -1] == 255).all()


@pytest.mark.parametrize("reduction", [1, 2])
def test_out_of_any_memory_layout_is_filled(direct, reduction):
    wide = np.zeros((300, 700, 3), np.uint8)
    view = wide[20:276, 100:356]
    assert direct.read(0, 256, 512, 256, 256, reduction, view) is view
    assert np.array_equal(view, direct.read(0, 256, 512, 256, 256, reduction))
    assert not wide[:20].any()


def test_colour_space_is_the_files(tmp_path, tissue_image):
    image = tissue_image(512, 512, (0, 0, 512, 512))
    for photometric in ("rgb", "ycbcr"):
        path = tmp_path / f"{photometric}.tif"
        options = {"outcolorspace": photometric} if photometric == "rgb" else {}
        tifffile.imwrite(
            path,
            image,
            tile=(256, 256),
            photometric="rgb",
            compression="jpeg",
            compressionargs={"level": 95, **options},
        )
        with open_slide(path) as slide:
            assert slide.info.backend == "tiff-jpeg"
            pixels = slide.read_region(0, 0, 512, 512).astype(int)
        assert np.abs(pixels - image).mean() < 8


def test_level_in_strips_is_left_to_openslide(real_data):
    with open_slide(real_data / "slides" / "test3-DAPI-2-387.ndpi") as slide:
        assert slide.info.backend == "openslide"
        assert "hamamatsu" in slide.info.backend_reason


def test_other_compression_is_left_to_openslide(tmp_path, tissue_image):
    path = tmp_path / "deflate.tif"
    tifffile.imwrite(path, tissue_image(), tile=(256, 256), compression="deflate")
    with open_slide(path) as slide:
        assert slide.info.backend == "openslide"
        assert "DEFLATE" in slide.info.backend_reason
        assert np.array_equal(slide.read_region(0, 0, 1024, 1536), tissue_image())


def test_closed_slide_gives_no_kept_pixels(textured):
    slide = open_slide(textured)
    slide.read_region(10, 10, 50, 50)
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        slide.read_region(10, 10, 50, 50)


def test_many_threads_read_the_same_while_one_closes(textured):
    slide = open_slide(textured)
    truth = slide.read_region(100, 100, 700, 900)
    started = threading.Barrier(9)

    def read():
        started.wait()
        return slide.read_region(100, 100, 700, 900)

    with ThreadPoolExecutor(9) as pool:
        reads = [pool.submit(read) for _ in range(8)]
        pool.submit(lambda: (started.wait(), slide.close()))
    errors = [read.exception() for read in reads]
    assert all(error is None or "closed" in str(error) for error in errors)
    done = [read.result() for read, error in zip(reads, errors, strict=True) if error is None]
    assert all(np.array_equal(pixels, truth) for pixels in done)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("compression", ["jpeg", "deflate"])  # our reader, OpenSlide
def test_child_forked_during_reads_does_not_hang(tmp_path, tissue_image, compression):
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, tissue_image(), tile=(256, 256), compression=compression)
    with open_slide(path) as slide:
        truth = int(slide.read_region(10, 10, 500, 500).sum())
        is_done = threading.Event()

        def keep_reading():
            while not is_done.is_set():
                slide.read_region(10, 10, 500, 500)

        readers = [threading.Thread(target=keep_reading, daemon=True) for _ in range(2)]
        for reader in readers:
            reader.start()
        try:
            sums = [_sum_in_child(slide) for _ in range(10)]
        finally:
            is_done.set()
            for reader in readers:
                reader.join()
        assert sums == [truth] * 10


def _sum_in_child(slide):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_send_sum, args=(slide, queue), daemon=True)
    child.start()
    child.join(20)
    if child.is_alive():
        child.kill()
        return None
    return queue.get()


def _send_sum(slide, queue):
    queue.put(int(slide.read_region(10, 10, 500, 500).sum()))


def test_tile_that_claims_to_be_huge_is_not_decoded(textured):
    content = bytearray(textured.read_bytes())
    with tifffile.TiffFile(textured) as tiff:
        offset, size = tiff.pages[0].dataoffsets[8], tiff.pages[0].databytecounts[8]
    header = content.index(b"\xff\xc0", offset, offset + size)
    content[header + 5 : header + 9] = b"\xff\xdc\xff\xdc"
    textured.write_bytes(content)
    with open_slide(textured) as slide:
        with pytest.raises(DamagedSlideError, match="65500x65500 px in a tile of 256x256"):
            slide.read_region(300, 600, 10, 10)
        assert slide.read_region(0, 0, 10, 10).shape == (10, 10, 3)
