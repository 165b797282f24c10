"""What a dock sets aside from garbage collection, and takes back when it closes."""

from __future__ import annotations

import gc
import weakref

import pytest
from napari.components import LayerList
from napari.layers import Points

from napari_dre_slcl.gui import garbage


@pytest.fixture(autouse=True)
def no_dock_just_closed(qtbot) -> None:
    """Wait until what is done a moment after the docks of earlier tests were closed is done."""
    qtbot.waitUntil(lambda: not garbage._WAITING)


@pytest.fixture
def layers() -> LayerList:
    """Return the layers of a viewer; made here, as making them looks into the caller's frame."""
    return LayerList()


class _Node:
    def __init__(self) -> None:
        self.me = self


def test_a_cycle_of_before_is_left_alone_until_its_holder_has_gone(layers) -> None:
    gc.unfreeze()
    one = object()
    old = _Node()
    seen = weakref.ref(old)
    garbage.set_aside(one, layers)
    del old
    gc.collect()
    assert seen() is not None

    garbage.take_back(one)
    garbage.take_back(one)
    gc.collect()
    assert seen() is None
    assert gc.get_freeze_count() == 0


def test_a_window_that_is_closed_beside_another_does_not_stay(qtbot, monkeypatch, layers) -> None:
    monkeypatch.setattr(garbage, "_AFTER_MS", 10)
    first, second = object(), object()
    garbage.set_aside(first, layers)
    window = _Node()
    seen = weakref.ref(window)
    garbage.set_aside(second, layers)
    del window
    garbage.take_back(second)
    third = object()
    garbage.set_aside(third, layers)  # at once, as a dock that is closed and opened again
    assert gc.get_freeze_count() == 0
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 0)  # for the first, again
    assert seen() is None
    garbage.take_back(third)
    garbage.take_back(first)
    assert gc.get_freeze_count() == 0


def test_what_came_since_is_still_collected(layers) -> None:
    holder = object()
    garbage.set_aside(holder, layers)
    young = weakref.ref(_Node())
    gc.collect()
    assert young() is None
    garbage.take_back(holder)


def test_a_layer_of_before_is_collected_once_it_is_removed(qtbot, monkeypatch, layers) -> None:
    monkeypatch.setattr(garbage, "_AFTER_MS", 10)
    layers.extend(Points() for _ in range(3))
    holder = object()
    garbage.set_aside(holder, layers)
    for _ in range(2):
        seen = weakref.ref(layers[0])
        del layers[0]
        qtbot.waitUntil(lambda: seen() is None)  # noqa: B023
        assert gc.get_freeze_count() > 0  # the others are still spared, and all modules
    garbage.take_back(holder)


def test_a_layer_that_came_since_costs_no_collection_when_it_is_removed(layers) -> None:
    holder = object()
    garbage.set_aside(holder, layers)
    layers.append(Points())
    layers.clear()
    assert gc.get_freeze_count() > 0
    assert not garbage._WAITING
    garbage.take_back(holder)


def test_layers_are_not_followed_after_their_last_dock_has_gone(layers) -> None:
    holder, other = object(), object()
    n_before = len(layers.events.removed.callbacks)
    for one in (holder, other):
        garbage.set_aside(one, layers)
    garbage.take_back(holder)
    assert len(layers.events.removed.callbacks) == n_before + 1
    garbage.take_back(other)
    assert len(layers.events.removed.callbacks) == n_before
