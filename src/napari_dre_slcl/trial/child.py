"""A process in which files are tried: ``python -P -m napari_dre_slcl.trial.child slide``.

It reads a JSON line per trial from its input and answers each in one line: ``{}`` for a file that
did no harm, ``{"error", "text"}`` for one that its reader refuses. Where it answers nothing it has
ended, and the file ended it. It limits itself, so that it ends also where its parent is gone.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.trial.kinds import KINDS, Kind
from napari_dre_slcl.trial.limits import READY, Limits

if sys.platform != "win32":
    import resource

__all__ = ["main"]


def main() -> None:
    """Try files until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    answers = _take_output()
    with open(os.devnull, "wb") as nowhere:
        _forbid_files()
        # Slow to import; what goes wrong from here on is a file's doing.
        _reader_of(KINDS[sys.argv[1]])
        _answer(answers, READY)
        for line in sys.stdin.buffer:
            request = json.loads(line)
            limits = Limits(*(request[name] for name in ("cpu_s", "clock_s", "memory_bytes")))
            reader = _reader_of(KINDS[request["kind"]])
            faulthandler.dump_traceback_later(limits.clock_s, exit=True, file=nowhere)
            _limit_trial(limits)
            _answer(answers, _tried(reader, Path(request["place"]), request["detail"]))
            faulthandler.cancel_dump_traceback_later()


def _reader_of(kind: Kind) -> Callable[[Path, str], Any] | None:
    """Return what reads a kind of files; None where it is not installed."""
    for library in kind.libraries:
        with suppress(ImportError):
            importlib.import_module(library)
    module, _, name = kind.reader.partition(":")
    try:
        reader: Callable[[Path, str], Any] = getattr(importlib.import_module(module), name)
    except ImportError:
        return None
    return reader


def _tried(reader: Callable[[Path, str], Any] | None, place: Path, detail: str) -> dict[str, str]:
    if reader is None:
        return {"error": "ImportError", "text": ""}
    try:
        reader(place, detail)
    except DreSlclError as error:
        return {"error": type(error).__name__, "text": str(error)}
    except ImportError:
        return {"error": "ImportError", "text": ""}
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


def _limit_trial(limits: Limits) -> None:
    """Give the next trial its memory and processor time on top of what is used already."""
    if sys.platform == "win32":
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + limits.cpu_s
    _set_soft(resource.RLIMIT_CPU, seconds)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _set_soft(resource.RLIMIT_AS, pages * resource.getpagesize() + limits.memory_bytes)


def _set_soft(kind: int, limit: int) -> None:
    """Set a limit, but no higher than the administrator's."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main()
