"""A process that has imported the program and forks a command line whenever it is asked to.

Each line on standard input is an `Order` as JSON, each on standard output its `Ended`. A fork is
the real thing in all that a kill can hurt: its files, its locks and its own processes.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from torture.kills.order import Ended, Order

if TYPE_CHECKING:
    from _typeshed import HasFileno

_CHANGES = frozenset(
    (
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "os.chmod",
        "os.utime",
    )
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_LONGEST_S = 300.0
_ORPHANS_S = 30.0


def _child(order: Order, telling: int, counting: int) -> None:
    """Become the command."""
    os.setsid()
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(telling, 1)
    os.dup2(log, 2)
    # What was open on the old numbers must not be flushed twice.
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, mode) for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    changes = _kill_at(order)
    from napari_dre_slcl.cli.app import main

    code = 1
    try:
        code = main(order.argv)
    except BaseException:  # noqa: BLE001 - the process ends here, and would not print it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(counting, str(changes["all"]).encode())
        os._exit(code)


def _kill_at(order: Order) -> Counter[str]:
    """Count changes to files from here on, and end this process before one of them."""
    changes: Counter[str] = Counter()
    below = order.below

    def count(path: object) -> None:
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if name.startswith(below):
            changes["all"] += 1
            if changes["all"] == order.at_change:
                os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(args[2], int) and args[2] & _WRITES
        if is_write or event in _CHANGES:
            count(args[0])

    flush = os.fsync

    def flushed(fd: int | HasFileno) -> None:
        number = fd if isinstance(fd, int) else fd.fileno()
        count(os.readlink(f"/proc/self/fd/{number}"))
        flush(fd)

    sys.addaudithook(hook)
    os.fsync = flushed
    return changes


def _run(order: Order) -> Ended:
    told, telling = os.pipe()
    counted, counting = os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if not child:
        _child(order, telling, counting)
    os.close(telling)
    os.close(counting)
    with open(order.log, "ab") as log:
        watch = _Watch(order, child, told, log)
        status = watch.until_the_end()
    seconds = time.monotonic() - begun
    os.close(told)
    changes = os.read(counted, 32).decode()
    os.close(counted)
    code = os.waitstatus_to_exitcode(status)
    return Ended(
        code,
        seconds,
        int(changes or 0),
        dict(watch.stages),
        _orphans_s(child),
        was_killed=watch.was_killed or code == -signal.SIGKILL,
    )


class _Watch:
    """Follows a command, writes down what it says, and kills it at its moment."""

    def __init__(self, order: Order, child: int, told: int, log: BinaryIO) -> None:
        self.stages: Counter[str] = Counter()
        self.was_killed = False
        self._order = order
        self._child = child
        self._told = told
        self._log = log
        self._rest = b""
        self._begun = time.monotonic()

    def until_the_end(self) -> int:
        """Return how the command ended."""
        while True:
            self._hear(0.002)
            if not self.was_killed and self._is_due():
                self._kill()
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                self._hear(0.0)
                return status
            if time.monotonic() - self._begun > _LONGEST_S:
                os.kill(self._child, signal.SIGKILL)

    def _hear(self, seconds: float) -> None:
        """Take what it says within a time."""
        while select.select([self._told], [], [], seconds)[0]:
            chunk = os.read(self._told, 65536)
            if not chunk:  # it has closed its output, and is about to end
                time.sleep(seconds)
                return
            self._log.write(chunk)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b'{"event":"progress"'):
                    self.stages[json.loads(line)["stage"]] += 1
            if seconds and self._is_due():
                return

    def _is_due(self) -> bool:
        order = self._order
        stage, number = order.in_stage
        is_late = 0 < order.after_s < time.monotonic() - self._begun
        return is_late or bool(stage and self.stages[stage] >= number)

    def _kill(self) -> None:
        victims = [self._child]
        if self._order.victim:
            victims = [pid for pid in _members(self._child) if self._order.victim in _words(pid)]
        if victims:
            with suppress(ProcessLookupError):
                os.kill(victims[self._order.which % len(victims)], signal.SIGKILL)
                self.was_killed = True


def _orphans_s(session: int) -> float:
    """Wait until no process of a command is left."""
    begun = time.monotonic()
    while members := _members(session):
        waited = time.monotonic() - begun
        if waited > _ORPHANS_S:
            for pid in members:
                os.kill(pid, signal.SIGKILL)
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - begun


def _members(session: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[3] == str(session) and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


def _words(pid: int) -> str:
    """Return the command line of a process; empty where it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def main() -> None:
    """Import the modules that are named, then run orders until standard input ends."""
    for name in ("napari_dre_slcl.cli.app", *sys.argv[1:]):
        importlib.import_module(name)
    if any(".engine." in name for name in sys.argv[1:]):
        # What networks and tables import on first use takes longer than a work here.
        from napari_dre_slcl.model.torchvision_repair import ensure_torchvision

        ensure_torchvision()
        importlib.import_module("timm")
        importlib.import_module("pyarrow.parquet")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        answers.write(json.dumps(asdict(_run(order))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
