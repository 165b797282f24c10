"""What a dock sets aside from garbage collection, and takes back when it closes."""

from __future__ import annotations

import gc
import weakref

import pytest

from napari_dre_slcl.gui import garbage


@pytest.fixture(autouse=True)
def no_dock_just_closed(qtbot) -> None:
    """Wait until what is done a moment after the docks of earlier tests were closed is done."""
    qtbot.waitUntil(lambda: not garbage._WAITING)


class _Node:
    def __init__(self) -> None:
        self.me = self


def test_a_cycle_of_before_is_left_alone_until_its_holder_has_gone() -> None:
    gc.unfreeze()
    one = object()
    old = _Node()
    seen = weakref.ref(old)
    garbage.set_aside(one)
    del old
    gc.collect()
    assert seen() is not None

    garbage.take_back(one)
    garbage.take_back(one)
    gc.collect()
    assert seen() is None
    assert gc.get_freeze_count() == 0


def test_a_window_that_is_closed_beside_another_does_not_stay(qtbot, monkeypatch) -> None:
    monkeypatch.setattr(garbage, "_AFTER_MS", 10)
    first, second = object(), object()
    garbage.set_aside(first)
    window = _Node()
    seen = weakref.ref(window)
    garbage.set_aside(second)
    del window
    garbage.take_back(second)
    third = object()
    garbage.set_aside(third)  # at once, as a dock that is closed and opened again
    assert gc.get_freeze_count() == 0
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 0)  # for the first, again
    assert seen() is None
    garbage.take_back(third)
    garbage.take_back(first)
    assert gc.get_freeze_count() == 0


def test_what_came_since_is_still_collected() -> None:
    holder = object()
    garbage.set_aside(holder)
    young = weakref.ref(_Node())
    gc.collect()
    assert young() is None
    garbage.take_back(holder)
