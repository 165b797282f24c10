"""One file that was made to do harm."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Makers", "Sample", "copied"]

Makers = tuple[tuple[str, Callable[[Path, Path], Path]], ...]
"""Kind, and what makes the file: takes an empty folder and an honest file of the kind."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One file.

    Parameters
    ----------
    name : str
        What is wrong with it.
    family : str
        Which harm it is to do.
    kind : str
        As what it is read.
    path : Path
        File or folder.
    """

    name: str
    family: str
    kind: str
    path: Path


def copied(folder: Path, honest: Path) -> Path:
    """Return a copy of an honest file or folder."""
    target = folder / honest.name
    if honest.is_dir():
        shutil.copytree(honest, target)
    else:
        shutil.copy(honest, target)
    return target
