"""Who wants a run folder: two windows and a command line, each able to go on with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torture.kills.order import Order
from torture.kills.program import Program, started

__all__ = ["Answer", "Contender", "Contenders", "contenders"]

_ROOT = Path(__file__).resolve().parents[2]
_MODULES = ("napari_dre_slcl.engine.train",)


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended.

    Parameters
    ----------
    who : str
        The window or the command line.
    kind : str
        ``result``, ``failed``, or ``killed``.
    text : str
        All that was said.
    """

    who: str
    kind: str
    text: str


class Contender(Protocol):
    """One who can go on with a run."""

    def resume(self, run: Path) -> Answer:
        """Go on with it, and return how that ended."""


class _Window:
    """A process of `engine_window`."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self._name, self._process = name, process

    def resume(self, run: Path) -> Answer:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the window was started without pipes")
        stdin.write(f"{run}\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._process.wait()}")
        told = json.loads(line)
        text = "\n".join([*told["said"], told["message"]])
        is_killed = "ended unexpectedly (code -9)" in text
        return Answer(self._name, "killed" if is_killed else told["kind"], text)


class _CommandLine:
    """``dre-slcl resume``."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program, self._folder = program, folder

    def resume(self, run: Path) -> Answer:
        log = self._folder / "resume.log"
        log.unlink(missing_ok=True)
        argv = ["resume", str(run), "--json"]
        code = self._program.run(Order(argv, str(run), str(log))).code
        kind = {0: "result", -9: "killed"}.get(code, "failed")
        return Answer("the command line", kind, log.read_text(encoding="utf-8"))


class Contenders:
    """All of them, who start at the same moment."""

    def __init__(self, members: list[Contender], program: Program) -> None:
        self._members = members
        self.program = program
        self._threads = ThreadPoolExecutor(len(members))

    def start(self, run: Path) -> list[Future[Answer]]:
        """Have all want a run at once."""
        return [self._threads.submit(member.resume, run) for member in self._members]

    def close(self) -> None:
        """Wait for the threads."""
        self._threads.shutdown()


@contextmanager
def contenders(folder: Path) -> Iterator[Contenders]:
    """Start two windows and a command line, which end with the block."""
    with ExitStack() as stack:
        program = stack.enter_context(started(folder, _MODULES))
        windows = [stack.enter_context(_window(f"window {n}", folder)) for n in (1, 2)]
        found = Contenders([*windows, _CommandLine(program, folder)], program)
        stack.callback(found.close)
        yield found


@contextmanager
def _window(name: str, folder: Path) -> Iterator[_Window]:
    environment = os.environ | {
        "DRE_SLCL_CONFIG_DIR": str(folder / "user"),
        "QT_QPA_PLATFORM": "offscreen",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": str(_ROOT),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "torture.endurance.engine_window"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    ) as process:
        try:
            yield _Window(name, process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(60)
