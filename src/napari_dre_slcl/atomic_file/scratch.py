"""What lives as long as one process or one look: folders and files in the place for such."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["scratch_file", "scratch_folder"]


def scratch_folder(prefix: str = "dre-slcl-") -> Path:
    """Make a folder of this user's own for the time being; who made it deletes it.

    Parameters
    ----------
    prefix : str
        Begin of its name.
    """
    return Path(tempfile.mkdtemp(prefix=prefix))


def scratch_file(text: str, suffix: str) -> Path:
    """Write a text for a person to look at, readable by this user only.

    Parameters
    ----------
    text : str
        What to write.
    suffix : str
        End of its name, such as ``.html``.

    Returns
    -------
    Path
        The file, in the system's temporary folder.
    """
    handle, name = tempfile.mkstemp(prefix="dre-slcl-", suffix=suffix, text=True)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return Path(name)
