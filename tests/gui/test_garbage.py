"""What a dock sets aside from garbage collection, and takes back when it closes."""

from __future__ import annotations

import gc
import weakref

from napari_dre_slcl.gui import garbage


class _Node:
    def __init__(self) -> None:
        self.me = self


def test_a_cycle_of_before_is_left_alone_until_the_last_holder_has_gone() -> None:
    gc.unfreeze()
    one, two = object(), object()
    old = _Node()
    seen = weakref.ref(old)
    garbage.set_aside(one)
    garbage.set_aside(two)
    del old
    gc.collect()
    assert seen() is not None

    garbage.take_back(one)
    gc.collect()
    assert seen() is not None

    garbage.take_back(two)
    garbage.take_back(two)
    gc.collect()
    assert seen() is None
    assert gc.get_freeze_count() == 0


def test_what_came_since_is_still_collected() -> None:
    holder = object()
    garbage.set_aside(holder)
    young = weakref.ref(_Node())
    gc.collect()
    assert young() is None
    garbage.take_back(holder)
