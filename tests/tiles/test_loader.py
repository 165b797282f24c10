from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileLoader, TileSource, tile_slide


@pytest.fixture
def sources(slide_file, tissue_image):
    image = tissue_image(1024, 1024, (0, 0, 1024, 1024))
    slides = [
        open_slide(slide_file("one.tif")),
        open_slide(slide_file("two.tif", image=image), mpp=0.4),
    ]
    yield [TileSource(slide, tile_slide(slide)) for slide in slides]
    for slide in slides:
        slide.close()


def expected(sources, requests, input_px=64):
    return np.concatenate(
        [
            sources[index].slide.read_tiles(
                sources[index].grid.yx[tiles], input_px, sources[index].grid.size_px / input_px
            )
            for index, tiles in requests
        ]
    )


REQUESTS = [(1, np.array([3, 0, 3])), (0, np.array([5])), (1, np.array([1, 0]))]


@pytest.mark.parametrize("cache_mib", [0, 1])
def test_tiles_come_in_the_order_asked_for(sources, cache_mib):
    with TileLoader(sources, 64, cache_mib=cache_mib) as loader:
        first, again = loader.load(REQUESTS), loader.load(REQUESTS)
    assert first.shape == (6, 64, 64, 3)
    assert np.array_equal(first, expected(sources, REQUESTS))
    assert np.array_equal(first, again)


def test_cache_stops_at_its_bound(sources):
    room = 2**20 // (256 * 256 * 3)
    everything = [(index, np.arange(len(source.grid))) for index, source in enumerate(sources)]
    assert sum(len(source.grid) for source in sources) > room
    with TileLoader(sources, 256, cache_mib=1) as loader:
        tiles = loader.load(everything)
        assert loader.cached_tiles == room
        assert np.array_equal(loader.load(everything), tiles)


def test_kept_tiles_are_not_read_again(sources):
    with TileLoader(sources, 64) as loader:
        tiles = loader.load(REQUESTS)
        for source in sources:
            source.slide.close()
        assert np.array_equal(loader.load(REQUESTS), tiles)
        with pytest.raises(SlideError, match=r"one\.tif.*closed"):
            loader.load([(0, np.array([0]))])


def test_changing_a_batch_does_not_change_the_cache(sources):
    with TileLoader(sources, 64) as loader:
        tiles = loader.load(REQUESTS)
        kept = tiles.copy()
        tiles[:] = 0
        assert np.array_equal(loader.load(REQUESTS), kept)


def test_prefetched_batches_equal_loaded_ones(sources):
    batches = [[(0, np.array([i])), (1, np.array([i, i + 1]))] for i in range(5)]
    with TileLoader(sources, 64, cache_mib=0) as loader:
        prefetched = list(loader.prefetch(iter(batches)))
        assert len(prefetched) == 5
        for batch, tiles in zip(batches, prefetched, strict=True):
            assert np.array_equal(tiles, loader.load(batch))
        assert list(loader.prefetch([])) == []


def test_next_batch_is_read_while_the_caller_computes(sources):
    with TileLoader(sources, 64) as loader:
        batches = loader.prefetch([[(0, np.array([0]))], [(0, np.array([1, 2]))]])
        next(batches)
        deadline = threading.Event()
        for _ in range(200):
            if loader.cached_tiles == 3:
                break
            deadline.wait(0.05)
        assert loader.cached_tiles == 3
        batches.close()


def test_closing_a_prefetch_leaves_no_thread(sources):
    with TileLoader(sources, 64, cache_mib=0) as loader:
        batches = loader.prefetch([[(1, np.arange(6))]] * 50)
        next(batches)
        batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith(("tile-", "read-tiles"))]


@pytest.fixture
def damaged_source(slide_file, tissue_image, damage_tiles):
    """Four by four tiles of 2x2 file tiles each; the second and the eighth are damaged."""
    # Tissue and focus are judged at the coarser level, which is whole.
    path = slide_file("hurt.tif", image=tissue_image(2048, 2048, (0, 0, 2048, 2048)), mpp=0.25)
    damage_tiles(path, [3, 8 * 3 + 6, 8 * 3 + 7])
    with open_slide(path) as slide:
        yield TileSource(slide, tile_slide(slide))


def test_damaged_tiles_are_white_and_counted_and_the_others_are_right(sources, damaged_source):
    sound = [0, *range(2, 7), *range(8, 16)]
    with TileLoader([*sources, damaged_source], 256) as loader:
        assert loader.damaged == {}
        requests = [(0, np.array([1])), (2, np.arange(16)), (2, np.array([7]))]
        tiles, again = loader.load(requests), loader.load(requests)
        assert loader.damaged == {2: (1, 7)}
    assert (tiles[[2, 8, 17]] == 255).all()
    assert np.array_equal(tiles, again)
    assert np.array_equal(tiles[1:17][sound], expected([damaged_source], [(0, sound)], 256))
    assert tiles[1:17][sound].std(axis=(1, 2, 3)).min() > 5


def test_damaged_tiles_are_counted_in_prefetched_batches(damaged_source):
    with TileLoader([damaged_source], 256, cache_mib=0) as loader:
        batches = [[(0, np.arange(start, start + 4))] for start in (0, 4, 8, 12)]
        assert len(list(loader.prefetch(batches * 2))) == 8
        assert loader.damaged == {0: (1, 7)}


def test_closed_slide_is_named_when_its_batch_is_due(sources):
    with TileLoader(sources, 64) as loader:
        batches = loader.prefetch([[(1, np.array([0]))], [(0, np.array([0]))]])
        sources[0].slide.close()
        assert next(batches).shape == (1, 64, 64, 3)
        with pytest.raises(SlideError, match=r"one\.tif"):
            next(batches)


@pytest.mark.parametrize("tile", [-1, 8])
def test_tile_outside_the_grid_is_refused(sources, tile):
    with TileLoader(sources, 64) as loader, pytest.raises(SlideError, match="has 8 tiles"):
        loader.load([(0, np.array([tile]))])


def test_closed_loader_says_so(sources):
    loader = TileLoader(sources, 64)
    loader.close()
    with pytest.raises(SlideError, match="loader is closed"):
        loader.load(REQUESTS)


def test_no_requests_is_an_empty_batch(sources):
    with TileLoader(sources, 64) as loader:
        assert loader.load([]).shape == (0, 64, 64, 3)
