"""Levels of a slide as the arrays that napari draws."""

from __future__ import annotations

import copy
import gc
import os
import subprocess
import sys
import threading
import weakref

import numpy as np
import psutil
import pytest
import tifffile

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import Slide, open_slide, slide_blocks
from napari_dre_slcl.slide.block_cache import BlockCache
from napari_dre_slcl.slide.block_threads import BlockThreads
from napari_dre_slcl.slide.pyramid import slide_pyramid


@pytest.fixture(scope="module")
def slide(make_slide, tmp_path_factory):
    """The usual slide, written once for all tests here; none of them may close it."""
    with open_slide(make_slide(tmp_path_factory.mktemp("slide") / "slide.tif")) as opened:
        yield opened


@pytest.fixture
def levels(slide):
    return slide_pyramid(slide)


def test_levels_look_like_arrays(levels):
    fine = levels[0]
    assert (fine.shape, fine.dtype, fine.ndim, len(fine)) == ((1024, 1536, 3), np.uint8, 3, 1024)
    assert fine.chunks == ((512, 512), (512, 512, 512), (3,))
    assert fine.size == fine.nbytes == 1024 * 1536 * 3


@pytest.mark.parametrize(
    "key",
    [
        np.s_[...],
        np.s_[300],
        np.s_[-1],
        np.s_[500:530, 250:700],
        np.s_[:, 700, 1],
        np.s_[::7, ::-5],
        np.s_[900:100:-13, 1500:1600, ::-1],
        np.s_[1023::-1, 3],
        np.s_[5:5],
        np.s_[..., 2],
        np.s_[np.int64(7), 0, 0],
    ],
)
def test_indexing_is_that_of_numpy(slide, levels, key):
    whole = slide.read_region(0, 0, 1024, 1536)
    picked = levels[0][key]
    assert np.array_equal(picked, whole[key])
    assert np.asarray(picked).dtype == np.uint8


@pytest.mark.parametrize("key", [np.s_[1024], np.s_[0, -1537], np.s_[0, 0, 0, 0], np.s_[..., ...]])
def test_index_outside_is_an_index_error(levels, key):
    with pytest.raises(IndexError):
        levels[0][key]


def test_file_levels_are_read_not_made(slide_file, tissue_image):
    path = slide_file(image=tissue_image(2304, 2560, (100, 100, 700, 600)), levels=2)
    with open_slide(path) as slide:
        fine, _, coarse = slide_pyramid(slide)
        assert coarse.shape == (576, 640, 3)
        assert np.array_equal(np.asarray(coarse), slide.read_region(0, 0, 576, 640, level=1))
        assert np.array_equal(fine[90:800, 90:95], slide.read_region(90, 90, 710, 5))


def test_a_level_is_added_between_two_that_are_four_times_apart(slide_file, tissue_image):
    path = slide_file(image=tissue_image(2304, 2560, (100, 100, 700, 600)), levels=3)
    with open_slide(path) as slide:
        assert slide.info.level_downsamples == (1, 4, 16)
        shapes = [level.shape[:2] for level in slide_pyramid(slide)]
        assert shapes == [(2304, 2560), (1152, 1280), (576, 640)]  # 16: too small to be seen


@pytest.mark.parametrize("n_halvings", [1, 2, 3])
def test_added_levels_are_averages_without_shift(slide_file, tissue_image, n_halvings):
    path = slide_file(image=tissue_image(8200, 603, (3700, 50, 4101, 500)), levels=1)
    with open_slide(path) as slide:
        levels = slide_pyramid(slide)
        shapes = [level.shape[:2] for level in levels]
        assert shapes == [(8200, 603), (4100, 302), (2050, 151), (1025, 76)]
        top, left, edge = 3696, 48, 400
        tissue = slide.read_region(top, left, edge, edge).astype(float)
        n = 2**n_halvings
        expected = tissue.reshape(edge // n, n, edge // n, n, 3).mean(axis=(1, 3))
        rows, cols = (slice(start // n, (start + edge) // n) for start in (top, left))
        error = np.abs(levels[n_halvings][rows, cols] - expected).mean()
        shifted = np.abs(levels[n_halvings][rows, cols] - np.roll(expected, 1, axis=0)).mean()
        assert error <= 1.0
        assert shifted > 2 * error


@pytest.mark.parametrize(
    ("tile", "block"),
    [
        ((256, 256), (512, 512)),
        ((240, 240), (480, 480)),
        ((1024, 1024), (1024, 1024)),
        ((16, 1600), (512, 1600)),
        ((16, 2560), (400, 2560)),
        ((2048, 128), (2048, 512)),
    ],
)
def test_blocks_are_whole_tiles_of_the_file(tmp_path, tissue_image, tile, block):
    path = tmp_path / "slide.tif"
    image = tissue_image(2304, 2560, (100, 100, 700, 600))
    tifffile.imwrite(path, image, tile=tile, photometric="rgb", compression="jpeg")
    with open_slide(path) as slide:
        assert slide.info.tile_shape == tile
        rows, cols, _ = slide_pyramid(slide)[0].chunks
        assert (rows[0], cols[0]) == block
        assert (sum(rows), sum(cols)) == (2304, 2560)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("CMU-1-Small-Region.svs", (480, 480)),
        ("test3-DAPI-2-387.ndpi", (264, 3968)),
        ("dicom_cmu-1-small-region", (500, 500)),
    ],
)
def test_real_levels_are_drawn_in_whole_tiles(real_data, name, block):
    with open_slide(real_data / "slides" / name) as slide:
        levels = slide_pyramid(slide)
        assert tuple(edges[0] for edges in levels[0].chunks[:2]) == block
        assert all(
            edge % tile == 0 for edge, tile in zip(block, slide.info.tile_shape, strict=True)
        )
        assert max(levels[-1].shape) <= 2048
        box = np.s_[700:1300, 600:1500]
        assert np.array_equal(levels[0][box], slide.read_region(700, 600, 600, 900))


def test_levels_too_small_to_see_are_left_out(slide_file):
    with open_slide(slide_file(levels=4)) as slide:
        assert len(slide.info.level_shapes) == 4
        assert [level.shape[0] for level in slide_pyramid(slide)] == [1024]


def test_many_threads_read_the_same_pixels(slide, levels):
    whole = slide.read_region(0, 0, 1024, 1536)
    starts = np.random.default_rng(0).integers(0, 900, size=(30, 2))
    wrong = []

    def read():
        for y, x in starts:
            if not np.array_equal(levels[0][y : y + 99, x : x + 99], whole[y : y + 99, x : x + 99]):
                wrong.append((y, x))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_blocks_of_one_read_are_decoded_at_the_same_time(slide, monkeypatch):
    meet = threading.Barrier(3, timeout=20)
    read_region = Slide.read_region

    def read_with_two_others(self, *box):
        meet.wait()
        return read_region(self, *box)

    monkeypatch.setattr(slide_blocks, "shared_threads", lambda: BlockThreads(3))
    [fine, *_] = slide_pyramid(slide, BlockCache(0))
    expected = slide.read_region(0, 0, 1024, 1536)
    monkeypatch.setattr(Slide, "read_region", read_with_two_others)
    assert np.array_equal(np.asarray(fine), expected)  # six blocks, three at a time


def test_closed_slide_says_so_when_drawn(slide_file):
    with open_slide(slide_file()) as slide:
        levels = slide_pyramid(slide, BlockCache(0))
    with pytest.raises(SlideError, match="closed"):
        levels[0][:10, :10]


def test_open_slides_share_one_bound(slide_file):
    cache = BlockCache(limit_bytes=3 * 512 * 512 * 3)
    with open_slide(slide_file("a.tif")) as one, open_slide(slide_file("b.tif")) as other:
        levels = [slide_pyramid(slide, cache)[0] for slide in (one, other)]
        for level in levels:
            assert level.nbytes > cache.limit_bytes
            np.asarray(level)
            assert 0 < cache.used_bytes <= cache.limit_bytes


def open_file_names():
    return {file.path.rpartition("/")[2] for file in psutil.Process().open_files()}


def test_nothing_is_left_of_a_pyramid_that_is_gone(slide_file):
    cache = BlockCache(limit_bytes=2**26)
    slide = open_slide(slide_file("gone.tif"))
    levels = slide_pyramid(slide, cache)
    np.asarray(levels[0])
    block = levels[0].source.read(0, 0, 0, 512, 512)
    alive = [weakref.ref(one) for one in (slide, levels[0], levels[0].source, block)]
    assert cache.used_bytes == levels[0].nbytes
    assert "gone.tif" in open_file_names()
    del slide, levels, block
    gc.collect()
    assert [reference() for reference in alive] == [None] * 4
    assert cache.used_bytes == 0
    assert "gone.tif" not in open_file_names()


_DRAW_AND_LET_GO = """
import gc, os, sys, threading, numpy as np
from napari_dre_slcl.slide import block_threads, open_slide
from napari_dre_slcl.slide.pyramid import slide_pyramid
block_threads._n_processors = lambda: 4

def pool():
    return [one for one in threading.enumerate() if one.name.startswith("slide-blocks")]

levels = slide_pyramid(open_slide(sys.argv[1]))
whole = np.asarray(levels[0])
assert 1 <= len(pool()) <= 4, pool()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(np.asarray(levels[0]), whole) and pool() else 1)
assert os.waitpid(child, 0)[1] == 0
del levels
gc.collect()
for thread in pool():
    thread.join(10)
assert not pool()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_threads_come_again_in_a_forked_child_and_end_with_the_last_pyramid(slide_file):
    command = [sys.executable, "-W", "ignore", "-c", _DRAW_AND_LET_GO, str(slide_file())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_deep_copy_of_a_layers_data_draws_the_same_slide(levels) -> None:
    copies = copy.deepcopy(levels)
    assert np.array_equal(copies[-1][:], levels[-1][:])
