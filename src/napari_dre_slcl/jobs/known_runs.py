"""The runs that this user has started, in a list that survives restarts: a file of their paths.

Only a list: nothing here makes, changes or deletes a run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import filelock

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.untrusted import read_json
from napari_dre_slcl.user_folder import user_folder

__all__ = ["forget_run", "known_runs", "remember_run"]

_MOST = 200
_LOCK_WAIT_S = 5.0


def known_runs() -> list[Path]:
    """Return the run folders, the newest first; those that are gone as well."""
    return [Path(name) for name in _read()]


def remember_run(run_dir: Path) -> None:
    """Put a run at the head of the list.

    Where the list cannot be written nothing happens: the run itself has all there is to know.
    """
    name = str(run_dir.absolute())
    with contextlib.suppress(OSError, filelock.Timeout):
        _change(lambda names: [name, *(other for other in names if other != name)][:_MOST])


def forget_run(run_dir: Path) -> None:
    """Take a run off the list; its files stay.

    Raises
    ------
    JobError
        If the list cannot be written.
    """
    name = str(run_dir.absolute())
    try:
        _change(lambda names: [other for other in names if other != name])
    except (OSError, filelock.Timeout) as error:
        raise JobError(
            f"The list of runs '{_path()}' cannot be written: {error}. Check the folder's rights."
        ) from error


def _path() -> Path:
    return user_folder() / "runs.json"


def _read() -> list[str]:
    try:
        found = read_json(_path())
    except (OSError, ValueError):
        return []
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _change(change: Callable[[list[str]], list[str]]) -> None:
    """Read, change and write the list while no other process does."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_suffix(".lock"), timeout=_LOCK_WAIT_S):
        names = _read()
        changed = change(names)
        if changed != names:
            write_json(path, changed)
