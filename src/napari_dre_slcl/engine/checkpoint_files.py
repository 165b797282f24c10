"""Checkpoint folders: written aside, flushed, renamed; the last good one is always whole.

Knows tensors and text by name, nothing of what they mean.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from napari_dre_slcl.errors import JobError

__all__ = [
    "latest_checkpoint",
    "read_tensors",
    "remove_checkpoints",
    "remove_other_checkpoints",
    "write_checkpoint",
]

STATE_FILE = "state.json"
_ASIDE = ".part-"
Tensors = Mapping[str, Tensor]


def write_checkpoint(
    parent: Path, name: str, tensors: Mapping[str, Tensors], state_json: str
) -> Path:
    """Write a checkpoint folder, whole or not at all.

    Parameters
    ----------
    parent : Path
        Folder of the checkpoints.
    name : str
        Of the new one; must not exist.
    tensors : mapping
        File name without suffix -> tensors by name.
    state_json : str
        JSON object with the number ``serial``.

    Raises
    ------
    OSError
        If it cannot be written; what was written of it is gone then.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for unfinished in parent.glob(f"{_ASIDE}*"):  # of a killed process; it would take up room
        shutil.rmtree(unfinished, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(dir=parent, prefix=_ASIDE))
    try:
        for file, content in tensors.items():
            _write_through(aside / f"{file}.safetensors", save(_plain(content)))
        _write_through(aside / STATE_FILE, state_json.encode())
        aside.chmod(0o755)
        _flush_folder(aside)
        aside.rename(parent / name)
        _flush_folder(parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return parent / name


def latest_checkpoint(parent: Path) -> Path | None:
    """Return the newest checkpoint, None where there is none.

    Raises
    ------
    JobError
        If one is damaged: the bank's files may follow it already, so that none before it would do.
    """
    found = list(_serials(parent))
    return max(found)[1] if found else None


def remove_other_checkpoints(parent: Path, keep: Path) -> None:
    """Delete older checkpoints and what is left of unfinished ones."""
    for path in parent.iterdir():
        if path.is_dir() and path != keep:
            _remove(path)


def remove_checkpoints(parent: Path) -> None:
    """Delete all checkpoints, each so that half of it is never taken for a whole."""
    for path in parent.glob(f"*/{STATE_FILE}"):
        _remove(path.parent)
    shutil.rmtree(parent, ignore_errors=True)


def _remove(path: Path) -> None:
    (path / STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read one file of a checkpoint.

    Raises
    ------
    JobError
        If it is missing or damaged.
    """
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise JobError(f"The checkpoint '{path}' cannot be read: {error.strerror}.") from error
    except SafetensorError as error:
        raise JobError(
            f"The checkpoint '{path}' is damaged ({error}). Bring the file back as it was, or "
            "start a new run."
        ) from error


def _serials(parent: Path) -> Iterator[tuple[int, Path]]:
    for path in parent.glob(f"[!.]*/{STATE_FILE}"):
        try:
            serial = json.loads(path.read_bytes())["serial"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JobError(
                f"The checkpoint '{path.parent}' is damaged: its {STATE_FILE} cannot be read. "
                "Bring the file back as it was, or start a new run."
            ) from error
        yield int(serial), path.parent


def _plain(tensors: Tensors) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _flush_folder(folder: Path) -> None:
    """Make names in a folder durable, where the system can open folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
