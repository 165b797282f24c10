"""The memory bank's arrays: in memory, or as preallocated files of one generation each.

A generation is one complete encoding of all tiles. Live arrays of files are copy-on-write views or
copies, so the files change only where `BankFiles.writable` is used.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib import format as npy
from torch import Tensor

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.errors import JobError

__all__ = ["Arrays", "BankFiles", "BankShape", "new_arrays"]

Arrays = dict[str, Tensor]

_FORMAT = 1
_HEADER = "bank.json"
_KEPT = "kept.json"
_NUMPY = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}


@dataclass(frozen=True, slots=True)
class BankShape:
    """How large a bank is.

    Parameters
    ----------
    tile_counts : tuple of int
        Tiles of each slide.
    dim : int
        Width d of a feature.
    codewords : int
        K.
    dtype : torch.dtype
        Of the stored features: float16, float32 or float64.
    """

    tile_counts: tuple[int, ...]
    dim: int
    codewords: int
    dtype: torch.dtype

    def arrays(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Return shape and type of each array by name."""
        n, s, k, d = sum(self.tile_counts), len(self.tile_counts), self.codewords, self.dim
        weight = np.float64 if self.dtype == torch.float64 else np.float32
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "features": ((n, d), _NUMPY[self.dtype]),
            "filled": ((n,), np.uint8),
            "codeword": ((n,), np.int16),
            "weight": ((n,), weight),
            "written": ((n,), np.int32),
            "drift": ((n,), np.float32),
            # Doubles: what is added and taken away again a hundred thousand times leaves no trace.
            "residual": ((s, k, d), np.float64),
            "mass": ((s, k), np.float64),
            "count": ((s, k), np.int64),
            "codewords": ((k, d), np.float64),
        }
        return {name: (shape, np.dtype(kind)) for name, (shape, kind) in shapes.items()}

    def n_bytes(self) -> int:
        """Return the bytes of all arrays together."""
        return sum(
            int(np.prod(shape, dtype=np.int64)) * kind.itemsize
            for shape, kind in self.arrays().values()
        )

    def facts(self) -> dict[str, Any]:
        """Return what two banks must share to be the same bank."""
        counts = np.asarray(self.tile_counts, np.int64).tobytes()
        return {
            "format": _FORMAT,
            "slides": len(self.tile_counts),
            "tiles": sum(self.tile_counts),
            "tile_counts_sha256": hashlib.sha256(counts).hexdigest(),
            "dim": self.dim,
            "codewords": self.codewords,
            "dtype": str(self.dtype).removeprefix("torch."),
        }


def new_arrays(shape: BankShape) -> Arrays:
    """Return empty arrays in memory."""
    return {
        name: torch.from_numpy(np.zeros(size, kind))
        for name, (size, kind) in shape.arrays().items()
    }


class BankFiles:
    """The generations of a bank in a folder: ``gen-0001``, ``gen-0002``, one ``.npy`` per array.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    shape : BankShape
        What the files must hold.
    memory_mib : int
        Arrays of up to so many MiB are read into memory; larger ones are mapped.
    """

    def __init__(self, folder: Path, shape: BankShape, memory_mib: int) -> None:
        self._folder = folder
        self._shape = shape
        self.is_in_memory = shape.n_bytes() <= memory_mib * 2**20

    def kept(self) -> list[int]:
        """Return the numbers of the generations that a checkpoint may name, ascending."""
        return [number for number in self._numbers() if (self._path(number) / _KEPT).is_file()]

    def begin(self, tag: str, after: int) -> int:
        """Return the generation after ``after`` with this tag, made anew where there is none.

        Generations after ``after`` with another tag, or of another shape, are thrown away.
        """
        for number in self._numbers():
            if number > after:
                header = self._header(number)
                if header == self._shape.facts() | {"tag": tag}:
                    return number
                self._drop(number)
        self._create(after + 1, tag)
        return after + 1

    def read(self, number: int) -> Arrays:
        """Return the arrays of a generation: copies in memory, or copy-on-write views.

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

        def load(path: Path) -> np.ndarray[Any, Any]:
            if self.is_in_memory:
                return np.array(npy.open_memmap(path, mode="r"))
            return npy.open_memmap(path, mode="c")

        return self._load(number, load)

    def writable(self, number: int) -> tuple[Arrays, Callable[..., None]]:
        """Return arrays that write to a generation's files, and what flushes some of them."""
        maps: dict[str, np.memmap[Any, Any]] = {}

        def load(path: Path) -> np.memmap[Any, Any]:
            maps[path.stem] = npy.open_memmap(path, mode="r+")
            return maps[path.stem]

        arrays = self._load(number, load)

        def flush(*names: str) -> None:
            for name in names or maps:
                maps[name].flush()

        return arrays, flush

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
            header = json.loads((self._path(number) / _HEADER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return header if isinstance(header, dict) else {}

    def _load(self, number: int, load: Callable[[Path], np.ndarray[Any, Any]]) -> Arrays:
        arrays: Arrays = {}
        for name, (size, kind) in self._shape.arrays().items():
            path = self._path(number) / f"{name}.npy"
            try:
                array = load(path)
            except (OSError, ValueError) as error:
                raise JobError(
                    f"The memory bank's file '{path}' cannot be read: {error}. Start a new run."
                ) from error
            if array.shape != size or array.dtype != kind:
                raise JobError(f"The memory bank's file '{path}' is damaged. Start a new run.")
            arrays[name] = torch.from_numpy(array)
        return arrays

    def _create(self, number: int, tag: str) -> None:
        aside = self._folder / f".gen-{number:04d}.part"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            aside.mkdir(parents=True)
            for name, (size, kind) in self._shape.arrays().items():
                path = aside / f"{name}.npy"
                npy.open_memmap(path, mode="w+", dtype=kind, shape=size)
                _reserve(path)
            write_json(aside / _HEADER, self._shape.facts() | {"tag": tag})
            aside.rename(self._path(number))
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise JobError(self._no_room(error)) from error

    def _no_room(self, error: OSError) -> str:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return f"The memory bank cannot be written to '{self._folder}': {error.strerror}."
        return (
            f"The memory bank needs {self._shape.n_bytes() / 1e6:,.0f} MB in '{self._folder}', "
            "and the disk has no room for it. Free space, or choose a run folder on another disk."
        )


def _reserve(path: Path) -> None:
    """Claim a file's blocks now: a full disk is an error here, and a killed process later."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
