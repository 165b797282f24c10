"""One of the other processes of a training on several devices, as the first one sees it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from napari_dre_slcl.engine.crew_wire import Link
from napari_dre_slcl.errors import JobError

__all__ = ["CrewProcess"]

_MEMBER = "napari_dre_slcl.engine.crew_member"
_PATIENCE_S = 10.0


class CrewProcess:
    """Started here; takes orders, and answers each.

    Parameters
    ----------
    name : str
        What sentences call it.
    folder : Path
        The training's own, where the processes meet.
    threads : int
        Of the processor, for its computations.
    """

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        self._name = name
        self._unanswered = 0
        ours, theirs = multiprocessing.Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MEMBER, str(theirs.fileno()), str(folder)],
                stdin=subprocess.PIPE,  # its end tells the process that this one is gone
                stdout=2,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            )
        self._link = Link(ours)

    def tell(self, do: str, **facts: Any) -> None:
        """Give an order.

        Raises
        ------
        JobError
            If the process has ended.
        """
        try:
            self._link.send(do=do, **facts)
        except OSError as error:
            raise self.loss() from error
        self._unanswered += 1

    def settle(self) -> Exception | None:
        """Wait for all answers that it owes; return the last error that they tell of.

        Returns
        -------
        JobError, torch.OutOfMemoryError or None
            After an error the process takes further orders.

        Raises
        ------
        JobError
            If the process has ended.
        """
        found: Exception | None = None
        while self._unanswered:
            try:
                answer = self._link.receive()
            except (EOFError, OSError) as error:
                raise self.loss() from error
            self._unanswered -= 1
            if answer.get("error") == "memory":
                found = torch.OutOfMemoryError(f"{self._name}: {answer['text']}")
            elif "error" in answer:
                found = JobError(f"{self._name} met an error: {answer['text']}")
        return found

    def has_ended(self, within_s: float) -> bool:
        """Return whether the process ends within some seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=within_s)
        return self._process.returncode is not None

    def loss(self) -> JobError:
        """Return the sentence for a process that has ended before its time."""
        self.has_ended(_PATIENCE_S)
        code = self._process.returncode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return JobError(
            f"{self._name} has ended ({how}), so training stopped. Go on from the last "
            "checkpoint with 'dre-slcl resume'; '--devices 1' needs no other process."
        )

    def dismiss(self, *, is_well: bool) -> None:
        """Tell the process to end, or kill it where things did not go well."""
        if is_well:
            with contextlib.suppress(OSError):
                self._link.send(do="end")
        else:
            self._process.kill()

    def bury(self) -> None:
        """Wait for the end of a process that was dismissed."""
        if not self.has_ended(_PATIENCE_S):
            self._process.kill()
            self._process.wait()
        self._link.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
