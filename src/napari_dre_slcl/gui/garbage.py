"""Short pauses of Python's garbage collector while a dock is open.

A full collection walks every object of the process. In a window with napari's modules that holds
the main thread for 100 to 170 ms, in the middle of whatever the user does. What exists when a
dock opens is set aside, so that later collections walk only what came since.
"""

from __future__ import annotations

import gc

from qtpy.QtCore import QCoreApplication, QTimer

__all__ = ["set_aside", "take_back"]

_AFTER_MS = 2000
_HOLDERS: set[int] = set()
_WAITING: list[None] = []


def set_aside(holder: object) -> None:
    """Leave all that exists by now out of later collections.

    Garbage that is among it stays until `take_back`; to look for it would take the very time that
    is to be spared.

    Parameters
    ----------
    holder : object
        For whom; told to `take_back` at its end.
    """
    _HOLDERS.add(id(holder))
    if not _WAITING:  # else what a window has left a moment ago would be kept with it
        gc.freeze()


def take_back(holder: object) -> None:
    """Collect everything again, and a moment later set aside what other holders still need.

    What this one has left is collected before: else each dock that is closed beside another, or
    opened again, would be kept.

    Parameters
    ----------
    holder : object
        As told to `set_aside`; doing it twice is harmless.
    """
    if id(holder) not in _HOLDERS:
        return
    _HOLDERS.discard(id(holder))
    gc.unfreeze()
    if QCoreApplication.instance() is not None:
        _WAITING.append(None)
        QTimer.singleShot(_AFTER_MS, _set_aside_again)


def _set_aside_again() -> None:
    _WAITING.pop()
    if not _WAITING:
        gc.collect()
        if _HOLDERS:
            gc.freeze()
