"""Damaged pixels in the viewer: white where they are lost, counted once, told once."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tifffile

from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.block_cache import BlockCache
from napari_dre_slcl.slide.pyramid import slide_pyramid

TILE = 256


@pytest.fixture
def damaged_slide(slide_file, tissue_image):
    """A slide of 8x8 tiles of tissue on two levels; two tiles of level 0 are no JPEG any more."""
    path = slide_file("hurt.tif", image=tissue_image(2048, 2048, (0, 0, 2048, 2048)), levels=2)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        places = [(page.dataoffsets[i], page.databytecounts[i]) for i in (1 * 8 + 2, 5 * 8 + 5)]
    with path.open("r+b") as stream:
        for offset, count in places:
            stream.seek(offset)
            stream.write(b"\x00" * count)
    with open_slide(path) as slide:
        yield slide


def white_tiles(pixels):
    tiles = pixels.reshape(8, len(pixels) // 8, 8, len(pixels) // 8, 3)
    is_white = (tiles == 255).all(axis=(1, 3, 4))
    return np.argwhere(is_white).tolist()


def test_only_the_damaged_tiles_are_white(damaged_slide):
    levels = slide_pyramid(damaged_slide, BlockCache(2**26))
    assert white_tiles(np.asarray(levels[0])) == [[1, 2], [5, 5]]
    assert white_tiles(np.asarray(levels[1])) == [[1, 2], [5, 5]]
    assert white_tiles(np.asarray(levels[2])) == []  # a level of its own in the file


def test_a_block_counts_once_however_often_it_is_read(damaged_slide):
    nothing_is_kept = BlockCache(0)
    sentences = []
    fine, *_ = slide_pyramid(damaged_slide, nothing_is_kept, sentences.append)
    np.asarray(fine[:256, :256])
    assert fine.source.damage.count == 0
    assert sentences == []
    for _ in range(3):
        np.asarray(fine)
    assert fine.source.damage.count == 2
    [sentence] = sentences
    assert "'hurt.tif'" in sentence
    assert "2 places" in sentence


def test_without_a_window_damage_goes_to_the_log(damaged_slide, caplog):
    fine, *_ = slide_pyramid(damaged_slide, BlockCache(2**26))
    with caplog.at_level(logging.WARNING, "napari_dre_slcl"):
        np.asarray(fine[:512, 512:1024])
    assert [record.getMessage().count("'hurt.tif'") for record in caplog.records] == [1]
    assert "1 place " in caplog.text
