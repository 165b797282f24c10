"""The program as a shell would start it, from a process that has imported it already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from torture.kills.order import Ended, Order

__all__ = ["Program", "started"]

_ROOT = Path(__file__).resolve().parents[2]


class Program:
    """Runs command lines, one after the other.

    Parameters
    ----------
    process : Popen
        Of `torture.kills.warm`.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, order: Order) -> Ended:
        """Run a command line to its end, or to its kill."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the program was started without pipes")
        stdin.write(json.dumps(asdict(order)) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the warm process ended with {self._process.wait()}")
        return Ended(**json.loads(line))


@contextmanager
def started(folder: Path, modules: Sequence[str]) -> Iterator[Program]:
    """Import the program in a process of its own, which ends with the block.

    Parameters
    ----------
    folder : Path
        Gets ``user`` and ``tmp``, so that neither the user's own folder nor that for temporary
        files is touched.
    modules : sequence of str
        What the commands import, that it be done once.
    """
    for name in ("user", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    environment = os.environ | {
        "DRE_SLCL_CONFIG_DIR": str(folder / "user"),
        "TMPDIR": str(folder / "tmp"),
        # One thread: results are the same to the last bit, and a fork copies no pool of threads.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "src"))),
    }
    command = [sys.executable, "-m", "torture.kills.warm", *modules]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    ) as process:
        try:
            yield Program(process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(60)
