"""Short pauses of Python's garbage collector while a dock is open.

A full collection walks every object of the process. In a window with napari's modules that holds
the main thread for 100 to 170 ms, in the middle of whatever the user does. What exists when a
dock opens is set aside, so that later collections walk only what came since.
"""

from __future__ import annotations

import gc

__all__ = ["set_aside", "take_back"]

_HOLDERS: set[int] = set()


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
    gc.freeze()


def take_back(holder: object) -> None:
    """Collect everything again, once the last holder has gone.

    Parameters
    ----------
    holder : object
        As told to `set_aside`; doing it twice is harmless.
    """
    _HOLDERS.discard(id(holder))
    if not _HOLDERS:
        gc.unfreeze()
