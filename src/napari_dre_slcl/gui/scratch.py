"""Scratch: a folder for files that pass between window and engine, gone with the window."""

from __future__ import annotations

import shutil
import tempfile
from itertools import count
from pathlib import Path

from qtpy.QtCore import QObject

from napari_dre_slcl.gui.session import Session

__all__ = ["Scratch"]


class Scratch(QObject):
    """Makes names of files in a folder of its own, which is made with the first.

    Parameters
    ----------
    session : Session
        At its end the folder goes.
    """

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder: Path | None = None
        self._numbers = count(1)
        session.closing.connect(self.remove)

    def file(self, stem: str, suffix: str = ".npy") -> Path:
        """Return the path of a file that does not exist yet."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="dre-slcl-"))
        return self._folder / f"{stem}-{next(self._numbers)}{suffix}"

    def remove(self) -> None:
        """Delete the folder with everything in it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
