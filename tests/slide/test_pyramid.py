from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.block_cache import BlockCache
from napari_dre_slcl.slide.pyramid import slide_pyramid


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
        fine, coarse = slide_pyramid(slide)
        assert coarse.shape == (576, 640, 3)
        assert np.array_equal(np.asarray(coarse), slide.read_region(0, 0, 576, 640, level=1))
        assert np.array_equal(fine[90:800, 90:95], slide.read_region(90, 90, 710, 5))


def test_coarse_levels_are_added_by_averaging(slide_file, tissue_image):
    path = slide_file(image=tissue_image(4101, 603, (3700, 50, 4101, 500)), levels=1)
    with open_slide(path) as slide:
        levels = slide_pyramid(slide)
        assert [level.shape[:2] for level in levels] == [(4101, 603), (2051, 302), (1026, 151)]
        fine = slide.read_region(0, 0, 4096, 600).astype(float)
        halves = fine.reshape(2048, 2, 300, 2, 3).mean(axis=(1, 3))
        quarters = fine.reshape(1024, 4, 150, 4, 3).mean(axis=(1, 3))
        assert np.abs(levels[1][:2048, :300] - halves).max() <= 0.5
        assert np.abs(np.asarray(levels[2])[:1024, :150] - quarters).max() <= 1.0


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


def test_closed_slide_says_so_when_drawn(slide, levels):
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        levels[0][:10, :10]


def test_cache_keeps_the_last_used_within_its_bytes():
    cache = BlockCache(limit_bytes=300)
    reads = []

    def read(key):
        return cache.get(key, lambda: reads.append(key) or np.zeros(100, np.uint8))

    for key in ("a", "b", "c", "a", "d", "a", "b"):
        read(key)
        assert cache.used_bytes <= 300
    assert reads == ["a", "b", "c", "d", "b"]
    assert cache.get("large", lambda: np.ones(301, np.uint8)).all()
    assert cache.used_bytes == 300
