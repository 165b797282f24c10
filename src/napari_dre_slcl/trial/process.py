"""One process in which files are tried, as its parent sees it.

Light to import: a command starts the process before it imports anything else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict

from napari_dre_slcl.trial.limits import READY, START_S, Limits

__all__ = ["SWITCH", "ProbeEndedError", "ProbeProcess", "ProbeStartError"]

SWITCH = "DRE_SLCL_PROBE"
"""Environment variable: ``off`` opens files without a trial."""
_END_S = 2.0
_NO_CONSOLE = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # Windows would open one
_LONGEST_ANSWER = 2**20
# Each thread, and the allocator of Arrow, would take memory that is meant for the file.
_FEW_THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_IO_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}


class ProbeStartError(Exception):
    """The process cannot be started here."""


class ProbeEndedError(Exception):
    """The process ended over a file.

    Parameters
    ----------
    how : str
        What happened, as a part of a sentence.
    is_from_outside : bool
        Whether somebody else may have ended it.
    """

    def __init__(self, how: str, is_from_outside: bool = False) -> None:
        super().__init__(how)
        self.how = how
        self.is_from_outside = is_from_outside


class ProbeProcess:
    """A process that tries files one after the other; for one thread at a time.

    Making one returns at once; the first trial waits until the process is ready.

    Parameters
    ----------
    kind : str
        What it loads the reader of at once; others when they are asked for.

    Raises
    ------
    ProbeStartError
        If there is no Python to start.
    """

    def __init__(self, kind: str) -> None:
        if not sys.executable:
            raise ProbeStartError("this program does not say where its Python is")
        try:
            self._process = subprocess.Popen(
                # -P: nothing is imported from the working folder, where strangers' files may lie
                [sys.executable, "-P", "-m", "napari_dre_slcl.trial.child", kind],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {SWITCH: "off"} | _FEW_THREADS,
                creationflags=_NO_CONSOLE,
            )
        except OSError as error:
            raise ProbeStartError(str(error)) from error
        self._is_ready = False

    def ask(self, kind: str, place: str, detail: str, limits: Limits) -> dict[str, str]:
        """Try a file.

        Parameters
        ----------
        kind : str
            Name of its kind.
        place : str
            Absolute path, or a URL.
        detail : str
            More for its reader.
        limits : Limits
            What the trial may use.

        Returns
        -------
        dict
            As `trial.child` answers.

        Raises
        ------
        ProbeStartError
            If the process does not become ready.
        ProbeEndedError
            If it ended, or had to be ended.
        """
        self._wait_until_ready()
        begun = time.monotonic()
        try:
            self._send({"kind": kind, "place": place, "detail": detail} | asdict(limits))
        except OSError as error:
            self.close()
            raise ProbeEndedError("", is_from_outside=True) from error
        answer = self._read_line(limits.clock_s + _END_S)
        if answer is None:
            took_s = time.monotonic() - begun
            with suppress(subprocess.TimeoutExpired):  # how it ended is known a little later
                self._process.wait(_END_S)
            self.close()
            raise _ended(self._process.returncode, took_s, limits.clock_s)
        return answer

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        if self._read_line(START_S) != READY:
            self.close()
            raise ProbeStartError("the process for trials ends at once")
        self._is_ready = True

    def close(self) -> None:
        """End the process and wait for its end."""
        with suppress(OSError):  # it may be gone
            self._close_pipes()
        with suppress(OSError):
            self._process.kill()
        self._process.wait()

    def forget(self) -> None:
        """Let go of the parent's process in a forked child."""
        with suppress(OSError):
            self._close_pipes()
        self._process.returncode = 0  # it is no child of ours, so nothing is to be waited for

    def _close_pipes(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        finally:
            self._process.stdout.close()

    def _send(self, request: dict[str, str | int]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()

    def _read_line(self, limit_s: float) -> dict[str, str] | None:
        """Return the next answer; None where the process ends or is ended after the time."""
        assert self._process.stdout is not None
        watch = threading.Timer(limit_s, self._process.kill)
        watch.daemon = True
        watch.start()
        try:
            line = self._process.stdout.readline(_LONGEST_ANSWER)
        except BaseException:  # Ctrl-C: the answer to come would be taken for the next file's
            self.close()
            raise
        finally:
            watch.cancel()
        return _answer_in(line)


def _answer_in(line: bytes) -> dict[str, str] | None:
    """Return an answer that makes sense: a file may have taken over the process that wrote it."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    is_right = isinstance(answer, dict) and all(isinstance(one, str) for one in answer.values())
    return answer if is_right else None


def _ended(code: int, took_s: float, clock_s: int) -> ProbeEndedError:
    if took_s >= clock_s:
        return ProbeEndedError(f"takes more than {clock_s} s to open")
    if code >= 0:
        return ProbeEndedError("ends the program that opens it")
    number = -code
    if number == getattr(signal, "SIGXCPU", None):
        return ProbeEndedError("does not come to an end of opening")
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return ProbeEndedError(
        f"ends the program that opens it ({name})", is_from_outside=name == "SIGKILL"
    )
