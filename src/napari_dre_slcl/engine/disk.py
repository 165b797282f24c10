"""How much room there is on the volume of a folder that may not be there yet."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["free_on_disk"]


def free_on_disk(folder: Path) -> int:
    """Return the free bytes on the volume where a folder is or would be made.

    Raises
    ------
    OSError
        If not even the volume can be asked.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
