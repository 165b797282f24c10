"""Reads hostile files in a process that may die of them, and counts how each ended."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torture.strangers.corpus.sample import Sample

__all__ = ["LONGEST_S", "Tally", "Trial"]

LONGEST_S = 90.0
"""On a busy machine; a file that is read without end is given up after 10 s of processor time."""

_START_S = 300.0
_LIGHT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "PYTHONWARNINGS": "ignore",
}


@dataclass(slots=True)
class Tally:
    """How files ended.

    Parameters
    ----------
    counts : Counter
        By outcome: read, refused, traceback, crash, hang, memory, code, no sentence.
    worst : list of str
        What was said of those that neither were read nor refused, the first ones.
    slowest : float
        Seconds.
    """

    counts: Counter[str] = field(default_factory=Counter)
    worst: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, name: str, answer: Mapping[str, Any], may_read: bool) -> None:
        """Count one file; a file made to do harm may not be read."""
        outcome = answer["outcome"]
        if outcome == "read" and not may_read:
            outcome = "accepted"
        self.counts[outcome] += 1
        self.slowest = max(self.slowest, answer.get("seconds", 0.0))
        if outcome not in ("read", "refused"):
            self.worst.append(f"{name}: {outcome}, {answer.get('said', '')}")

    @property
    def n_tried(self) -> int:
        """How many were tried."""
        return sum(self.counts.values())

    @property
    def n_survived(self) -> int:
        """How many were read or refused in a sentence."""
        return self.counts["read"] + self.counts["refused"]

    def note(self) -> str:
        """Return the counts, and the first that went wrong."""
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(self.counts.items()))
        return "; ".join([f"{counts}, slowest {self.slowest:.1f} s", *self.worst[:3]])


class Trial:
    """A process that reads files; started anew when one has ended it.

    Parameters
    ----------
    folder : Path
        Where honest and hostile files are made; all honest ones are read first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._made: dict[str, Any] = {}

    @property
    def honest(self) -> dict[str, Path]:
        """One honest file of each kind."""
        self._running()
        return {kind: Path(path) for kind, path in self._made["honest"].items()}

    @property
    def hostile(self) -> list[Sample]:
        """Files that were made to do harm."""
        self._running()
        found = self._made["hostile"]
        return [Sample(name, family, kind, Path(path)) for name, family, kind, path in found]

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, kind: str, path: Path, **how: Any) -> dict[str, Any]:
        """Have a file read.

        Parameters
        ----------
        kind : str
            Name of `kinds.KINDS`.
        path : Path
            The file.
        **how
            ``honest`` and ``seed`` of the copy to be made there first.

        Returns
        -------
        dict
            ``outcome``, ``said`` and ``seconds``.
        """
        child = self._running()
        assert child.stdin is not None
        job = {"kind": kind, "path": str(path), **how}
        child.stdin.write(json.dumps(job).encode() + b"\n")
        child.stdin.flush()
        line = self._line(LONGEST_S)
        if line is None:
            self._end()
            return {"outcome": "hang", "seconds": LONGEST_S, "said": f"{path.name} {how}"}
        if not line:
            code = child.wait()
            self._end()
            return {"outcome": "crash", "said": f"the process ended with {code}"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "torture.strangers.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | _LIGHT | {"DRE_SLCL_CONFIG_DIR": str(self._folder / "user")},
                cwd=Path(__file__).parents[2],
            )
            assert self._child.stdin is not None
            self._child.stdin.write(json.dumps(str(self._folder)).encode() + b"\n")
            self._child.stdin.flush()
            line = self._line(_START_S)
            if not line:
                raise RuntimeError("The process that reads hostile files does not start.")
            self._made = json.loads(line)
        return self._child

    def _line(self, seconds: float) -> bytes | None:
        """Return the next line; empty where the process has ended, None where it takes longer."""
        assert self._child is not None
        assert self._child.stdout is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._child.stdout, selectors.EVENT_READ)
            if not waiting.select(seconds):
                return None
        return self._child.stdout.readline()

    def _end(self) -> None:
        if self._child is None:
            return
        self._child.kill()
        self._child.communicate()
        self._child = None
