"""A day in the window, and what of it is left after each part.

    python -m torture.endurance.window SUPPLIES.json SHARE SEED PARTS

After each part all slides are closed, and a JSON line tells what the process holds. The last line
tells of errors that reached the event loop.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import random
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import psutil
import zarr
from napari.settings import get_plugin_settings
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from torture.endurance.deck import deal
from torture.endurance.person import Person
from torture.endurance.supplies import read_supplies

_CACHE_MIB = 64
_errors: list[str] = []


def main(argv: Sequence[str]) -> int:
    """Live through the day; 0 unless an error reached the event loop."""
    faulthandler.enable()
    seed, n_parts = int(argv[2]), int(argv[3])
    person = Person(read_supplies(Path(argv[0])), random.Random(f"{seed} person"))
    _keep_small()
    _start_what_stays()
    sys.excepthook = _on_error
    deck = deal(float(argv[1]), random.Random(f"{seed} deck"))
    for part in range(n_parts):
        begin, end = (len(deck) * number // n_parts for number in (part, part + 1))
        # The same at the start of each: something to look at.
        for name in ("open", "result", *deck[begin:end]):
            getattr(person, name)()
            person.draw()
        person.tidy()
        print(json.dumps(_held() | {"actions": end}), flush=True)
    person.viewer.close()
    print(json.dumps({"errors": _errors}), flush=True)
    return 1 if _errors else 0


def _keep_small() -> None:
    """Bound what is kept of drawn slides at its least, so that it is full before it is measured."""
    get_plugin_settings("napari-dre-slcl").viewer.cache_mib = _CACHE_MIB


def _start_what_stays() -> None:
    """Have zarr start the thread that it reads and writes in, with its three handles.

    Else it starts with the first export to OME-Zarr, whenever that is drawn, and stays.
    """
    with tempfile.TemporaryDirectory() as folder:
        zarr.create_group(folder)


def _on_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _errors.append(f"{kind.__name__}: {error}")
    traceback.print_exception(kind, error, trace)


def _held() -> dict[str, float | dict[str, int]]:
    """Return what this process and those that it has started hold, after all that can go has."""
    for _ in range(3):
        QApplication.processEvents()
        QApplication.sendPostedEvents(None, int(QEvent.Type.DeferredDelete.value))
        gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what is freed but kept for later is not held
    me = psutil.Process()
    children = me.children(recursive=True)
    names = Counter(one.name.rstrip("-_0123456789") for one in threading.enumerate())
    # zarr reads in a pool that grows, over hours, to its bound and stays.
    in_pool = min(names["asyncio"], (os.cpu_count() or 1) + 4)
    return {
        "MiB": _mib(me),
        "MiB of engines": sum(map(_mib, children)),
        "files": me.num_fds(),
        "threads": me.num_threads() - in_pool,
        "processes": len(children),
        "windows": len(QApplication.topLevelWidgets()),
        "widgets": len(QApplication.allWidgets()),
        "objects": len(gc.get_objects()) + gc.get_freeze_count(),
        "python threads": names,
    }


def _mib(process: psutil.Process) -> float:
    """Return the memory that a process has written to, where the system tells that.

    The libraries in its memory are no matter of it: the system shares them with other processes
    that use them at the moment, such as the engines, and takes them back when it likes.
    """
    if sys.platform != "linux":
        return process.memory_full_info().uss / 2**20
    told = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return (
        sum(int(line.split()[1]) for line in told if line.startswith(("Anonymous", "Swap:")))
        / 2**10
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
