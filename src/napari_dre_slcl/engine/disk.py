"""How much room there is on the volume of a folder that may not be there yet."""

from __future__ import annotations

import shutil
from pathlib import Path

from napari_dre_slcl.errors import JobError

__all__ = ["free_on_disk"]


def free_on_disk(folder: Path) -> int:
    """Return the free bytes on the volume where a folder is or would be made.

    Raises
    ------
    JobError
        If the volume cannot be asked.
    """
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        return shutil.disk_usage(place).free
    except OSError as error:
        raise JobError(
            f"The disk of '{folder}' cannot be used: {error.strerror}. Choose another folder."
        ) from error
