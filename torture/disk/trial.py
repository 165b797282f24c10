"""One command on a disk that fails: what it says, what it leaves, and how the next start ends."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from napari_dre_slcl.atomic_file import delete_left_over
from torture.disk.control import Calls, Control
from torture.kills.order import Order
from torture.kills.program import Program
from torture.kills.state import content, marks, touched
from torture.kills.works import Work

__all__ = [
    "FAULTS",
    "SLOW",
    "Fault",
    "Trial",
    "Whole",
    "disturbed",
    "draw_call",
    "slowed",
    "undisturbed",
]

_CREATING = Calls.OPEN | Calls.TRUNCATE | Calls.MKDIR
_NAMING = Calls.OPEN | Calls.MKDIR | Calls.RENAME | Calls.REMOVE
SLOW = "slow disk"
_DELAY_US = 5000


@dataclass(frozen=True, slots=True)
class Fault:
    """A way for a disk to fail.

    Parameters
    ----------
    name : str
        For the table.
    error : int
        What calls say.
    calls : Calls
        Which fail.
    is_lasting : bool
        Whether they fail until the end of the process, or once.
    share : float
        Of all tries.
    """

    name: str
    error: int
    calls: Calls
    is_lasting: bool
    share: float


FAULTS = (
    Fault("full disk", errno.ENOSPC, _CREATING | Calls.WRITE, True, 0.3),
    Fault("full disk, told on flushing", errno.ENOSPC, Calls.FLUSH, True, 0.1),
    Fault("I/O error", errno.EIO, Calls.ALL & ~Calls.REMOVE, False, 0.3),
    Fault("disk turns read-only", errno.EROFS, Calls.ALL & ~Calls.FLUSH, True, 0.15),
    Fault("no right to write", errno.EACCES, _NAMING, True, 0.15),
)


@dataclass(frozen=True, slots=True)
class Whole:
    """A command on a disk that does not fail.

    Parameters
    ----------
    content : dict
        As of `state.content`.
    counts : dict of int
        By the name of each fault, how many calls it can let fail.
    """

    content: dict[str, str]
    counts: dict[str, int]


@dataclass(slots=True)
class Trial:
    """What came of one command.

    Parameters
    ----------
    failed : int
        Calls that failed.
    code : int
        How the command ended.
    said : str
        What it said.
    lost : int
        Finished files that were lost, changed or made a second time.
    problems : list of str
        What was wrong; empty if all was well.
    """

    failed: int = 0
    code: int = 0
    said: str = ""
    lost: int = 0
    problems: list[str] = field(default_factory=list)


def undisturbed(work: Work, program: Program, control: Control, log: Path, record: Path) -> Whole:
    """Do a work on a disk that does not fail, and record its calls in a file.

    Raises
    ------
    RuntimeError
        If it fails all the same.
    """
    control.clear(record)
    code, said = _run(work, program, log)
    counts = {fault.name: control.counted(fault.calls) for fault in FAULTS}
    control.clear()
    if code:
        raise RuntimeError(f"'{work.name}' fails undisturbed: {said[-2000:]}")
    return Whole(content(work.out), counts)


def slowed(work: Work, whole: Whole, program: Program, control: Control, log: Path) -> Trial:
    """Do a work on a disk that takes its time with every call."""
    shutil.rmtree(work.out, ignore_errors=True)
    control.slow(_DELAY_US)
    trial = Trial()
    trial.code, trial.said = _run(work, program, log)
    control.clear()
    if trial.code:
        trial.problems.append(f"it ended with {trial.code}: {trial.said[-500:]}")
    trial.problems += _differences(content(work.out), whole.content)
    return trial


def disturbed(
    work: Work,
    whole: Whole,
    fault: Fault,
    at: int,
    program: Program,
    control: Control,
    log: Path,
) -> Trial:
    """Do a work whose disk fails at some call, then once more with the disk mended."""
    shutil.rmtree(work.out, ignore_errors=True)
    control.fail(fault.error, fault.calls, at, is_lasting=fault.is_lasting)
    trial = Trial()
    trial.code, trial.said = _run(work, program, log)
    trial.failed = control.failed
    control.clear()
    trial.problems += _unsaid(trial, fault)
    finished = marks(work.finished(work.out)) if work.out.exists() else {}
    trial.problems += _half(work, whole)
    if trial.code or work.name != "export":  # one that has ended well is made anew
        _go_on(work, program, log, trial)
        found = touched(finished)
        trial.lost += len(found)
        trial.problems += found
    elif work.out.exists():
        delete_left_over(work.out)  # it could not; the next start does so first of all
    trial.problems += _differences(content(work.out), whole.content)
    return trial


def draw_call(draw: random.Random, count: int) -> int:
    """Return the number of a call; the first few are as likely as all others."""
    return draw.randint(1, min(count, 8)) if draw.random() < 0.25 else draw.randint(1, count)


def _run(work: Work, program: Program, log: Path) -> tuple[int, str]:
    log.unlink(missing_ok=True)
    ended = program.run(Order(work.next_argv(), str(work.out), str(log)))
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return ended.code, said


def _go_on(work: Work, program: Program, log: Path, trial: Trial) -> None:
    code, said = _run(work, program, log)
    if code and "has ended well" not in said:
        trial.problems.append(f"the next start ended with {code}: {said[-500:]}")
    if "Traceback" in said:
        trial.problems.append(f"a traceback at the next start: {_from(said, 'Traceback')}")


def _unsaid(trial: Trial, fault: Fault) -> Iterator[str]:
    """Yield what is wrong with what a command has said, and with its exit code."""
    if "Traceback" in trial.said:
        yield f"a traceback: {_from(trial.said, 'Traceback')}"
    if "unexpected" in trial.said:
        yield f"an error that nobody foresaw: {_from(trial.said, 'unexpected')}"
    if trial.code < 0:
        yield f"the process was ended by signal {-trial.code}"
    reason = os.strerror(fault.error)
    if trial.code > 0 and reason not in trial.said and "disk is full" not in trial.said:
        yield f"it ended with {trial.code} and does not say why: {trial.said[-300:]!r}"
    if "None" in trial.said and "cannot be" in trial.said:
        yield f"a sentence without its reason: {trial.said[-300:]!r}"


def _half(work: Work, whole: Whole) -> Iterator[str]:
    """Yield finished files that are not those of an undisturbed run."""
    if not work.out.exists():
        return
    found = content(work.out)
    finished = {str(path.relative_to(work.out)) for path in work.finished(work.out)}
    for name in sorted(found.keys() & finished):
        if name in whole.content and found[name] != whole.content[name]:
            yield f"{name} bears its name and is not whole"


def _differences(found: dict[str, str], wanted: dict[str, str]) -> Iterator[str]:
    for name in sorted(found.keys() | wanted.keys()):
        if name not in wanted:
            yield f"{name} was left over"
        elif name not in found:
            yield f"{name} is missing"
        elif found[name] != wanted[name]:
            yield f"{name} differs from that of an undisturbed run"


def _from(said: str, word: str) -> str:
    return said[said.index(word) :][:600]
