"""A process in which slides are tried: ``python -P -m napari_dre_slcl.slide.probe_child``.

It reads a JSON line per trial from its input and answers each in one line: ``{}`` for a slide that
did no harm, ``{"error", "text"}`` for one that is none. Where it answers nothing it has ended, and
the slide ended it. It limits itself, so that it ends also where its parent is gone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from pathlib import Path
from typing import IO

from napari_dre_slcl.slide.probe_limits import CLOCK_S, CPU_S, MEMORY_BYTES, READY

if sys.platform != "win32":
    import resource

__all__ = ["main"]


def main() -> None:
    """Try slides until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    answers = _take_output()
    with open(os.devnull, "wb") as nowhere:
        _forbid_files()
        # Slow to import; what goes wrong from here on is a slide's doing.
        from napari_dre_slcl.slide import trial  # noqa: F401

        _answer(answers, READY)
        for line in sys.stdin.buffer:
            faulthandler.dump_traceback_later(CLOCK_S, exit=True, file=nowhere)
            _limit_trial()
            _answer(answers, _tried(json.loads(line)))
            faulthandler.cancel_dump_traceback_later()


def _tried(request: dict[str, str | None]) -> dict[str, str]:
    from napari_dre_slcl.errors import SlideError
    from napari_dre_slcl.slide.trial import try_slide

    try:
        try_slide(Path(str(request["path"])), request["image"])
    except SlideError as error:
        return {"error": type(error).__name__, "text": str(error)}
    except MemoryError:
        return {"error": "MemoryError", "text": ""}
    return {}


def _take_output() -> IO[bytes]:
    """Return the output for answers, out of reach of libraries that print."""
    kept = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return os.fdopen(kept, "wb")


def _answer(answers: IO[bytes], answer: dict[str, str]) -> None:
    answers.write(json.dumps(answer).encode() + b"\n")
    answers.flush()


def _forbid_files() -> None:
    """No core dump, which would hold a patient's picture, and no file written."""
    if sys.platform != "win32":
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit_trial() -> None:
    """Give the next trial its memory and processor time on top of what is used already."""
    if sys.platform == "win32":
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_S
    _set_soft(resource.RLIMIT_CPU, seconds)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _set_soft(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY_BYTES)


def _set_soft(kind: int, limit: int) -> None:
    """Set a limit, but no higher than the administrator's."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main()
