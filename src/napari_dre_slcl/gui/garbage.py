"""Short pauses of Python's garbage collector while a dock is open.

A full collection walks every object of the process. In a window with napari's modules that holds
the main thread for 100 to 170 ms, in the middle of whatever the user does. What exists when a
dock opens is set aside, so that later collections walk only what came since. Layers are circular
garbage once they are removed: those that were set aside are looked for when they have gone.
"""

from __future__ import annotations

import gc
from inspect import unwrap
from typing import Any
from weakref import WeakSet

from qtpy.QtCore import QCoreApplication, QTimer

__all__ = ["set_aside", "take_back"]

_AFTER_MS = 2000
_HOLDERS: dict[int, Any] = {}
_ASIDE: WeakSet[Any] = WeakSet()
_WAITING: list[None] = []


def set_aside(holder: object, layers: Any) -> None:
    """Leave all that exists by now out of later collections.

    Garbage that is among it stays until `take_back`, or until a layer that is among it is removed;
    to look for it would take the very time that is to be spared.

    Parameters
    ----------
    holder : object
        For whom; told to `take_back` at its end.
    layers : napari.components.LayerList
        Of the holder's viewer.
    """
    layers = unwrap(layers)  # napari hands plugins a proxy
    _HOLDERS[id(holder)] = layers
    layers.events.removed.connect(_on_removed)
    if not _WAITING:  # else what a window has left a moment ago would be kept with it
        _freeze()


def take_back(holder: object) -> None:
    """Collect everything again, and a moment later set aside what other holders still need.

    What this one has left is collected before: else each dock that is closed beside another, or
    opened again, would be kept.

    Parameters
    ----------
    holder : object
        As told to `set_aside`; doing it twice is harmless.
    """
    layers = _HOLDERS.pop(id(holder), None)
    if layers is None:
        return
    if not any(other is layers for other in _HOLDERS.values()):
        layers.events.removed.disconnect(_on_removed)
    _renew()


def _on_removed(event: Any) -> None:
    """Let a layer go that was there when all was set aside; closing a slide removes several."""
    if event.value in _ASIDE:
        _renew()


def _renew() -> None:
    gc.unfreeze()
    _ASIDE.clear()
    if QCoreApplication.instance() is not None:
        _WAITING.append(None)
        QTimer.singleShot(_AFTER_MS, _set_aside_again)


def _set_aside_again() -> None:
    _WAITING.pop()
    if not _WAITING:
        gc.collect()
        if _HOLDERS:
            _freeze()


def _freeze() -> None:
    gc.freeze()
    for layers in _HOLDERS.values():
        _ASIDE.update(layers)
