"""One process at a time makes one output, on any machine that sees the folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_dre_slcl.locks.holder import Holder
from napari_dre_slcl.locks.lock_file import SILENT_S, hold
from napari_dre_slcl.locks.lock_file import BusyError as LockBusyError

__all__ = ["LOCK_FOLDER", "BusyError", "held"]

LOCK_FOLDER = ".locks"


class BusyError(Exception):
    """Another process makes this output just now; its text says which."""


@contextmanager
def held(output: Path, silent_s: float = SILENT_S) -> Iterator[Callable[[], None]]:
    """Hold the lock of an output for the length of a block.

    A holder that was stopped (Ctrl-Z) loses it, since others wait for the output.

    Parameters
    ----------
    output : Path
        The file that is to be made; its folder exists.
    silent_s : float
        As long may another holder be silent.

    Yields
    ------
    callable
        Raises `BusyError` where the lock has fallen to another one meanwhile; to be called before
        the output is written.

    Raises
    ------
    BusyError
        If a living process holds it.
    OSError
        If the folder cannot be written.
    """
    path = output.parent / LOCK_FOLDER / f"{output.name}.lock"
    path.parent.mkdir(exist_ok=True)
    try:
        with hold(path, silent_s, keeps_if_stopped=False) as mine:

            def check() -> None:
                try:
                    mine.check()
                except LockBusyError as error:
                    raise BusyError(_sentence(output, error.holder)) from error

            yield check
    except LockBusyError as error:
        raise BusyError(_sentence(output, error.holder)) from error


def _sentence(output: Path, holder: Holder | None) -> str:
    return f"'{output.name}' is being made by {holder or 'another process'}."
