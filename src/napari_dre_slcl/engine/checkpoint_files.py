"""Checkpoint folders: written aside, flushed, renamed; the last good one is always whole.

Knows tensors and text by name, nothing of what they mean.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from napari_dre_slcl.atomic_file import (
    check_sum,
    flush_folder,
    make_folder,
    move,
    write_bytes,
    write_with_sum,
)
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.untrusted import UntrustedError, read_json

__all__ = [
    "CheckpointWriter",
    "latest_checkpoint",
    "read_tensors",
    "remove_checkpoints",
    "remove_other_checkpoints",
]

STATE_FILE = "state.json"
_ASIDE = ".part-"
Tensors = Mapping[str, Tensor]


class CheckpointWriter:
    """Writes a checkpoint folder, whole or not at all, perhaps from several processes.

    One begins it; all write files of their own; that one finishes it when all have written.

    Parameters
    ----------
    parent : Path
        Folder of the checkpoints.
    serial : int
        Number of this one, by which all know the folder aside.
    """

    def __init__(self, parent: Path, serial: int) -> None:
        self._parent = parent
        self._aside = parent / f"{_ASIDE}{serial:08d}"

    def begin(self) -> None:
        """Make the folder aside, and delete those of killed processes."""
        make_folder(self._parent)
        for unfinished in self._parent.glob(f"{_ASIDE}*"):  # it would take up room
            shutil.rmtree(unfinished, ignore_errors=True)
        self._aside.mkdir()

    def write(self, tensors: Mapping[str, Tensors]) -> None:
        """Write files durably.

        Parameters
        ----------
        tensors : mapping
            File name without suffix -> tensors by name.
        """
        for file, content in tensors.items():
            write_with_sum(self._aside / f"{file}.safetensors", save(_plain(content)))

    def finish(self, name: str, state_json: str) -> Path:
        """Give the checkpoint its state and its name, by which it counts.

        Parameters
        ----------
        name : str
            Must not exist.
        state_json : str
            JSON object with the number ``serial``.

        Returns
        -------
        Path
            Of the checkpoint.
        """
        write_bytes(self._aside / STATE_FILE, state_json.encode())
        flush_folder(self._aside)
        move(self._aside, self._parent / name)
        return self._parent / name

    def discard(self) -> None:
        """Delete what was written of a checkpoint that was not finished."""
        shutil.rmtree(self._aside, ignore_errors=True)


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
    """Delete all checkpoints, the newest last; half of one is never taken for a whole."""
    for path in sorted(parent.glob(f"*/{STATE_FILE}"), key=lambda path: path.stat().st_mtime_ns):
        _remove(path.parent)
    shutil.rmtree(parent, ignore_errors=True)


def _remove(path: Path) -> None:
    (path / STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def read_tensors(path: Path, names: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Read one file of a checkpoint, or only some of its tensors.

    Raises
    ------
    JobError
        If it is missing or damaged.
    """
    try:
        if not check_sum(path):
            raise JobError(_changed(path, "its bytes are not those that were written"))
        if names is None:
            return load(path.read_bytes())
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name).clone() for name in names}
    except OSError as error:
        reason = error.strerror or error
        raise JobError(f"The checkpoint '{path}' cannot be read: {reason}.") from error
    except SafetensorError as error:
        raise JobError(_changed(path, error)) from error


def _changed(path: Path, why: object) -> str:
    return (
        f"The checkpoint '{path}' is damaged ({str(why)[:200]}). Bring the file back as it was, "
        "or start a new run."
    )


def _serials(parent: Path) -> Iterator[tuple[int, Path]]:
    for path in parent.glob(f"[!.]*/{STATE_FILE}"):
        try:
            if path.parent.is_symlink() or path.is_symlink():
                raise UntrustedError("it is a link")
            serial = read_json(path)["serial"]
            if type(serial) is not int:
                raise TypeError("its number is none")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise JobError(
                f"The checkpoint '{path.parent}' is damaged: its {STATE_FILE} cannot be read. "
                "Bring the file back as it was, or start a new run."
            ) from error
        yield serial, path.parent


def _plain(tensors: Tensors) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
