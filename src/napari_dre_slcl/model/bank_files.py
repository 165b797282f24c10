"""The memory bank's arrays as preallocated files, one set for each generation.

A generation is one complete encoding of all tiles. Live arrays of files are copy-on-write views or
copies, so the files change only where `BankFiles.writable` is used. All processes share the files;
each reads and writes the rows that it holds.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from napari_dre_slcl.atomic_file import (
    atomic_folder,
    delete_left_over,
    open_in_place,
    write_json,
)
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.bank_rows import FileRows, SharedFile
from napari_dre_slcl.model.bank_shape import Arrays, BankShape
from napari_dre_slcl.untrusted import map_npy, read_json

__all__ = ["BankFiles"]

_Loaded = TypeVar("_Loaded")
_HEADER = "bank.json"
_KEPT = "kept.json"


class BankFiles:
    """The generations of a bank in a folder: ``gen-0001``, ``gen-0002``, one ``.npy`` per array.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    shape : BankShape
        What the files must hold.
    memory_mib : int
        What this process holds is read into memory up to so many MiB, and mapped above.
    """

    def __init__(self, folder: Path, shape: BankShape, memory_mib: int) -> None:
        self._folder = folder
        self._shape = shape
        self.is_in_memory = shape.part_bytes() <= memory_mib * 2**20

    def kept(self) -> list[int]:
        """Return the numbers of the generations that a checkpoint may name, ascending."""
        return [number for number in self._numbers() if (self._path(number) / _KEPT).is_file()]

    def begin(self, tag: str, number: int) -> None:
        """Make a generation, where there is none of this number, tag and shape.

        It is thrown away where it has another tag or shape, and so are all after it.

        Raises
        ------
        JobError
            If the disk has no room, or cannot be written.
        """
        try:
            for later in self._numbers():
                if later > number:
                    self._drop(later)
            if self._header(number) != self._shape.facts() | {"tag": tag}:
                self._drop(number)
                self._create(number, tag)
        except OSError as error:
            raise JobError(self._no_room(error)) from error

    def read(self, number: int) -> Arrays:
        """Return what this process holds of a generation: copies, or copy-on-write views.

        Raises
        ------
        JobError
            If the files are missing, damaged, or of another bank.
        """
        header = self._header(number)
        header.pop("tag", None)
        if header != self._shape.facts():
            raise JobError(
                f"The memory bank in '{self._path(number)}' belongs to another cohort, encoder or "
                "codebook. Start a new run."
            )
        return {name: self._read(number, name) for name in self._shape.arrays()}

    def writable(self, number: int) -> FileRows:
        """Return what writes to a generation's files."""

        def open_file(name: str) -> SharedFile:
            part = self._shape.part(name)
            return self._load(number, name, lambda path: SharedFile(path, part))

        return FileRows({name: open_file(name) for name in self._shape.arrays()})

    def rows(self, number: int, name: str, rows: Tensor) -> Tensor:
        """Return rows of a generation's array as the file has them, whoever holds them.

        Parameters
        ----------
        number : int
            Of the generation.
        name : str
            Of the array.
        rows : Tensor
            (n,) numbers in the whole bank.
        """
        # Opened anew: what another machine has written since is seen then.
        array = self._load(number, name, lambda path: npy.open_memmap(path, mode="r"))
        return torch.from_numpy(array[rows.numpy()])

    def keep(self, number: int) -> None:
        """Note that a checkpoint names this generation, and delete those before it."""
        if not (self._path(number) / _KEPT).is_file():
            write_json(self._path(number) / _KEPT, {"generation": number})
        for earlier in self._numbers():
            if earlier < number:
                self._drop(earlier)

    def _drop(self, number: int) -> None:
        # Its mark first, so that half a generation is never taken for a whole.
        (self._path(number) / _KEPT).unlink(missing_ok=True)
        shutil.rmtree(self._path(number), ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self._folder / f"gen-{number:04d}"

    def _numbers(self) -> list[int]:
        if not self._folder.is_dir():
            return []
        names = [path.name.removeprefix("gen-") for path in self._folder.glob("gen-*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def _header(self, number: int) -> dict[str, Any]:
        try:
            header = read_json(self._path(number) / _HEADER)
        except (OSError, ValueError):
            return {}
        return header if isinstance(header, dict) else {}

    def _read(self, number: int, name: str) -> Tensor:
        part = self._shape.part(name)

        def load(path: Path) -> np.ndarray[Any, Any]:
            array = npy.open_memmap(path, mode="r" if self.is_in_memory else "c")
            held = array[part.start : part.stop]
            return np.array(held) if self.is_in_memory else held

        return torch.from_numpy(self._load(number, name, load))

    def _load(self, number: int, name: str, load: Callable[[Path], _Loaded]) -> _Loaded:
        """Load one array's file, or tell in a sentence why not."""
        path = self._path(number) / f"{name}.npy"
        try:
            found = _described(path)
            if found != self._shape.arrays()[name]:
                raise ValueError("it holds an array of another bank")
            loaded = load(path)
        except OSError as error:
            raise JobError(
                f"The memory bank's file '{path}' cannot be read: {error.strerror or error}. Go on "
                "with the run once it can, or start a new run."
            ) from error
        except ValueError as error:
            raise JobError(
                f"The memory bank's file '{path}' is damaged ({error}). Start a new run."
            ) from error
        return loaded

    def _create(self, number: int, tag: str) -> None:
        delete_left_over(self._folder)  # it may be as large as the bank itself
        with atomic_folder(self._path(number)) as aside:
            for name, (size, kind) in self._shape.arrays().items():
                path = aside / f"{name}.npy"
                npy.open_memmap(path, mode="w+", dtype=kind, shape=size)
                _reserve(path)
            write_json(aside / _HEADER, self._shape.facts() | {"tag": tag})

    def _no_room(self, error: OSError) -> str:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"The memory bank cannot be written to '{self._folder}': {error.strerror}."
        return (
            f"The memory bank needs {self._shape.n_bytes() / 1e6:,.1f} MB in '{self._folder}', "
            "and the disk is full. Free space, or choose a run folder on another disk."
        )


def _described(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and type of an array's file."""
    array = map_npy(path)
    return array.shape, array.dtype


def _reserve(path: Path) -> None:
    """Claim a file's blocks now: a full disk is an error here, and a killed process later."""
    if hasattr(os, "posix_fallocate"):
        with open_in_place(path) as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
