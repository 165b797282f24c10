"""Label and macro images: read when asked for, and by nothing else."""

from __future__ import annotations

import ctypes
import mmap
import os

import numpy as np
import pytest
import tifffile

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.associated import PATIENT_WARNING, read_associated_image
from napari_dre_slcl.slide.pyramid import slide_pyramid
from napari_dre_slcl.tiles import tile_slide

MAGENTA = (255, 0, 255)


@pytest.mark.parametrize(("name", "color"), [("label", MAGENTA), ("macro", (0, 255, 255))])
def test_image_that_is_asked_for_has_its_pixels(labelled_slide, name, color):
    pixels = read_associated_image(labelled_slide, name)
    assert (pixels.shape, pixels.dtype) == ((1000, 1500, 3), np.uint8)
    assert (pixels == color).all()


def test_slide_states_the_names_only(labelled_slide):
    with open_slide(labelled_slide) as slide:
        assert slide.info.associated_images == ("label", "macro", "thumbnail")


def test_unknown_name_is_refused_with_those_that_there_are(labelled_slide, slide_file):
    with pytest.raises(SlideError, match=r"labelled\.svs.*'barcode'.*label, macro, thumbnail"):
        read_associated_image(labelled_slide, "barcode")
    with pytest.raises(SlideError, match=r"plain\.tif.*'label'.*it has none"):
        read_associated_image(slide_file("plain.tif"), "label")


def test_file_that_is_no_slide_or_is_not_there_is_a_slide_error(tmp_path):
    (tmp_path / "letter.svs").write_text("Dear Sir or Madam")
    with pytest.raises(SlideError, match=r"letter\.svs"):
        read_associated_image(tmp_path / "letter.svs", "label")
    with pytest.raises(SlideError, match="does not exist"):
        read_associated_image(tmp_path / "missing.svs", "label")


def test_image_with_corrupt_data_is_damage(tmp_path):
    path = tmp_path / "corrupt.svs"
    about = "Aperio Image Library v12.0.0\r\n"
    with tifffile.TiffWriter(path) as writer:
        options = {"photometric": "rgb", "metadata": None}
        base = np.full((512, 512, 3), 200, np.uint8)
        text = f"{about}512x512|MPP = 0.5"
        writer.write(base, tile=(256, 256), compression="jpeg", description=text, **options)
        writer.write(base, compression="zlib", description=f"{about}thumbnail", **options)
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[1].dataoffsets[0], file.pages[1].databytecounts[0]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xff" * count)
    with pytest.raises(DamagedSlideError, match=r"corrupt\.svs.*thumbnail image"):
        read_associated_image(path, "thumbnail")


def test_warning_names_what_is_at_stake():
    assert "patient's name" in PATIENT_WARNING


def label_place(path):
    """Return offset and length of the label's pixels in the file."""
    with tifffile.TiffFile(path) as file:
        page = next(page for page in file.pages if "\nlabel" in page.description)
        return page.dataoffsets[0], sum(page.databytecounts)


def pages_in_memory(path, offset, count):
    """Return how many pages of a part of a file the system holds in memory."""
    start = offset // mmap.PAGESIZE * mmap.PAGESIZE
    n_pages = -(-(offset + count - start) // mmap.PAGESIZE)
    states = (ctypes.c_ubyte * n_pages)()
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        address = np.frombuffer(mapped, np.uint8).ctypes.data + start
        size = ctypes.c_size_t(n_pages * mmap.PAGESIZE)
        assert ctypes.CDLL(None).mincore(ctypes.c_void_p(address), size, states) == 0
    return sum(state & 1 for state in states)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="asks the Linux kernel")
def test_nobody_fetches_a_byte_of_the_label_before_it_is_asked_for(labelled_slide):
    offset, count = label_place(labelled_slide)
    # The system reads ahead, so what was read before the label carries its first part along.
    middle = labelled_slide, offset + count // 3, count // 3
    with labelled_slide.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if pages_in_memory(*middle):
        pytest.skip("the file system keeps every file in memory")
    with open_slide(labelled_slide) as slide:
        slide.read_tiles([[300, 300], [500, 700]])
        slide.read_scaled(0, 0, 128, 192, 8)
        for level in slide_pyramid(slide):
            np.asarray(level)
        assert len(tile_slide(slide)) > 0
    assert pages_in_memory(*middle) == 0
    read_associated_image(labelled_slide, "label")
    assert pages_in_memory(*middle) > 100
