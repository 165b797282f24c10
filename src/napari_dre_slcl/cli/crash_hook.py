"""What the command line says of an error that nobody foresaw: a sentence, and where the rest is."""

from __future__ import annotations

from types import TracebackType

from napari_dre_slcl.atomic_file import scratch_file
from napari_dre_slcl.cli.console import say_error
from napari_dre_slcl.crash import crash_sentence, crash_trace

__all__ = ["tell_crash"]


def tell_crash(
    _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    """Take the place of Python's own traceback, which quotes values of files.

    Parameters
    ----------
    error : BaseException
        That has reached the end of the program.
    """
    if isinstance(error, KeyboardInterrupt):
        say_error("Stopped.")
        return
    path = scratch_file(crash_trace(error), ".log")
    say_error(
        f"The program stopped on an unexpected {crash_sentence(error)}. The details are in "
        f"'{path}'; please report them."
    )
