"""What an export that is broken off has finished, so that the same one goes on and not anew.

Files of an export bear neutral names that are taken as they come, and may replace earlier ones, so
their being there does not tell who made them. A hidden list in the folder does, until all is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import append_lines, cut_half_line, delete_left_over, make_folder
from napari_dre_slcl.errors import ExportError

__all__ = ["UnfinishedExport"]

_KEY_LETTERS = 12
_PROOF = "zarr.json"
"""The file that tells the state of a folder that was exported."""
_PREFIX, _SUFFIX = ".export-", ".jsonl"

State = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A result that was begun: files by format, and the state of those that were there before."""

    names: dict[str, str]
    before: dict[str, State | None]


class UnfinishedExport:
    """The list of one export: of what, and how.

    Parameters
    ----------
    folder : Path
        Gets the files.
    settings : sequence of str
        All that decides what is written: which results in which order, and how. A hash of it stands
        in the folder.
    """

    def __init__(self, folder: Path, settings: Sequence[str]) -> None:
        told = json.dumps([__version__, *settings])
        key = hashlib.sha256(told.encode()).hexdigest()[:_KEY_LETTERS]
        self._folder = folder
        self._path = folder / f"{_PREFIX}{key}{_SUFFIX}"
        self._known: dict[str, _Begun] = {}
        self._unwritten: dict[str, Any] = {}

    def begin(self) -> bool:
        """Read what was begun, and delete what a killed process has half written.

        Lists of other exports go: the folder is not as they left it from here on.

        Returns
        -------
        bool
            Whether this export was broken off before.

        Raises
        ------
        ExportError
            If the folder cannot be read or written.
        """
        try:
            delete_left_over(self._folder)
            for path in self._folder.glob(f"{_PREFIX}*{_SUFFIX}"):
                if path != self._path:
                    path.unlink(missing_ok=True)
            if not self._path.is_file():
                return False
            cut_half_line(self._path)
            for line in self._path.read_text(encoding="utf-8").splitlines():
                self._known |= _parsed(line)
        except (OSError, UnicodeDecodeError) as error:
            raise self._not_written(error) from error
        return bool(self._known)

    def targets(
        self, number: int, result: Path, free: Mapping[str, Path]
    ) -> tuple[dict[str, Path], set[str]]:
        """Return the file of each format, and the formats that are finished.

        It is the free one, unless the result was begun under other names.

        Parameters
        ----------
        number : int
            Of the result.
        result : Path
            Its file; another state of it is another result.
        free : mapping of Path
            How files would be called now, by format.
        """
        key = f"{number} {_state(result)}"
        begun = self._known.get(key)
        if begun is None or begun.names.keys() != free.keys():
            names = {name: path.name for name, path in free.items()}
            begun = _Begun(names, {name: _state(path) for name, path in free.items()})
            self._unwritten = {"result": key, "names": begun.names, "before": begun.before}
        found = {name: self._folder / file for name, file in begun.names.items()}
        # Files appear whole: one that is not as it was when the result was begun is finished.
        done = {
            name
            for name, path in found.items()
            if (state := _state(path)) is not None and state != begun.before[name]
        }
        return found, done

    def end(self) -> None:
        """Forget it all: the next export is a new one."""
        self._path.unlink(missing_ok=True)

    def note(self) -> None:
        """Write down what `targets` has last returned, before any of it is written.

        Raises
        ------
        ExportError
            If the folder cannot be written.
        """
        if not self._unwritten:
            return
        try:
            make_folder(self._folder)
            append_lines(self._path, [json.dumps(self._unwritten)], is_durable=True)
        except OSError as error:
            raise self._not_written(error) from error
        self._unwritten = {}

    def _not_written(self, error: Exception) -> ExportError:
        reason = error.strerror if isinstance(error, OSError) else error
        return ExportError(
            f"The folder '{self._folder}' cannot be written: {reason}. Choose another --out."
        )


def _parsed(line: str) -> dict[str, _Begun]:
    try:
        told: dict[str, Any] = json.loads(line)
        names = {str(name): Path(file).name for name, file in told["names"].items()}
        before = {name: told["before"][name] for name in names}
        states = {name: None if state is None else _pair(state) for name, state in before.items()}
        return {str(told["result"]): _Begun(names, states)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # of a disk that was full: what it told is made again


def _pair(state: Sequence[Any]) -> State:
    size, time_ns = state
    return int(size), int(time_ns)


def _state(target: Path) -> State | None:
    """Return what another state of a file, or folder, would not have; None where there is none."""
    path = target / _PROOF if target.is_dir() else target
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns
