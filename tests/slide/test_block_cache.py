"""The cache of decoded blocks: bounded, shared, and never in the way of the garbage collector."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from napari_dre_slcl.slide.block_cache import BlockCache, viewer_cache

BLOCK = 100


@pytest.fixture
def cache():
    return BlockCache(limit_bytes=3 * BLOCK)


def block():
    return np.zeros(BLOCK, np.uint8)


def test_the_last_used_are_kept_within_the_bytes(cache):
    reads = []

    def read(key):
        return cache.get(key, lambda: reads.append(key) or block())

    for key in ("a", "b", "c", "a", "d", "a", "b"):
        read(key)
        assert cache.used_bytes <= 300
    assert reads == ["a", "b", "c", "d", "b"]
    assert cache.get("large", lambda: np.ones(301, np.uint8)).all()
    assert cache.used_bytes == 300


def test_kept_blocks_cannot_be_written_to(cache):
    assert not cache.get("a", block).flags.writeable


def test_a_smaller_limit_takes_effect_at_once(cache):
    for key in "abc":
        cache.get(key, block)
    cache.limit_bytes = BLOCK
    assert cache.used_bytes == BLOCK
    cache.get("c", lambda: pytest.fail("the last one was dropped"))


def test_an_owner_s_blocks_go_together_and_others_stay(cache):
    mine, other = cache.get("a", block, owner=1), cache.get("a", block, owner=2)
    assert mine is not other
    reference = weakref.ref(mine)
    del mine
    cache.drop(1)
    assert reference() is None
    assert cache.used_bytes == BLOCK
    cache.get("a", lambda: pytest.fail("the other's block was dropped"), owner=2)


def test_owner_may_be_collected_in_the_middle_of_a_call(cache):
    class Owner:
        pass

    def read_while_owner_dies():
        owner = Owner()
        owner.cycle = owner
        weakref.finalize(owner, cache.drop, "gone")
        del owner
        gc.collect()
        return block()

    cache.get("a", block, owner="gone")
    with cache._lock:  # as if the collector ran while this very thread holds the lock
        read_while_owner_dies()
    assert cache.used_bytes == BLOCK
    cache.get("b", read_while_owner_dies, owner="alive")
    assert cache.used_bytes == BLOCK


def test_slides_that_are_drawn_share_one_cache():
    assert viewer_cache() is viewer_cache()
    assert viewer_cache().limit_bytes == 512 * 2**20
