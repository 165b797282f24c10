"""What is kept of an error that nobody foresaw: where it was, not which values it speaks of.

The text of such an error may quote a slide's header, a report or a table. Logs are passed on when
help is asked for, so they hold it only where the user turns that on.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

from napari_dre_slcl.plain_text import visible

__all__ = ["FULL_TRACES_VARIABLE", "crash_sentence", "crash_trace"]

FULL_TRACES_VARIABLE = "DRE_SLCL_FULL_TRACES"
"""Environment variable; 1 puts the texts of unforeseen errors into messages and logs."""

_WITHHELD = f"(its text may hold patient data; {FULL_TRACES_VARIABLE}=1 shows it)"


def crash_sentence(error: BaseException) -> str:
    """Return what happened and where, such as ``ValueError in engine/step.py, line 7``."""
    place = next(
        (
            f" in {'/'.join(Path(frame.filename).parts[-2:])}, line {frame.lineno}"
            for frame in reversed(traceback.extract_tb(error.__traceback__))
            if "napari_dre_slcl" in Path(frame.filename).parts
        ),
        "",
    )
    text = _text(error)
    return visible(f"{type(error).__name__}{place}" + (f": {text}" if text else ""))


def crash_trace(error: BaseException) -> str:
    """Return the traceback of an error and of those before it, without their texts.

    Parameters
    ----------
    error : BaseException
        As it was caught.
    """
    if _has_full_traces():
        return visible("".join(traceback.format_exception(error)), keep="\n")
    parts = []
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        frames = "".join(traceback.format_tb(one.__traceback__))
        told = _text(one) or _WITHHELD
        parts.append(f"Traceback (most recent call last):\n{frames}{type(one).__name__}: {told}\n")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return visible("\nThen, while that was handled:\n\n".join(reversed(parts)), keep="\n")


def _text(error: BaseException) -> str:
    """Return the text of an error where it can hold no value of a file: the system's own words."""
    if _has_full_traces():
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    frames = traceback.extract_tb(error.__traceback__)
    is_of_torch = bool(frames) and "torch" in Path(frames[-1].filename).parts
    return str(error).splitlines()[0] if is_of_torch and str(error) else ""


def _has_full_traces() -> bool:
    return os.environ.get(FULL_TRACES_VARIABLE, "") not in ("", "0")
