"""One work that is killed a few times, gone on with to its end, and compared with its like."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from torture.kills.order import Ended, Order
from torture.kills.program import Program
from torture.kills.state import content, marks, touched
from torture.kills.steps import first_step, newest_step
from torture.kills.works import Work

__all__ = ["Trial", "Whole", "killed_work", "undisturbed"]

KILLED = -9
_REFUSED = 2  # with a sentence, as where another of its processes was killed
_MOST_KILLS = 3
_ORPHANS_S = 30.0
# A sentence of the next start that tells of the one before.
_TELLS = ("broken off", "goes on", "begins anew", "without a word", "are kept", "has ended")
_HAS_ENDED = "has ended well"


@dataclass(frozen=True, slots=True)
class Whole:
    """A work that was not disturbed.

    Parameters
    ----------
    ended : Ended
        What it took.
    content : dict
        As of `state.content`.
    """

    ended: Ended
    content: dict[str, str]


@dataclass(slots=True)
class Trial:
    """What came of a work that was killed.

    Parameters
    ----------
    kills : int
        How often.
    lost : int
        Finished files that were lost, changed or made a second time.
    problems : list of str
        What was wrong; empty if all was well.
    finished : int
        Files that were finished at the last kill.
    telling : int
        Kills at which something was finished, a file or a step of a training.
    """

    kills: int = 0
    lost: int = 0
    problems: list[str] = field(default_factory=list)
    finished: int = 0
    telling: int = 0


def undisturbed(work: Work, program: Program, log: Path) -> Whole:
    """Do a work without a kill.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    log.unlink(missing_ok=True)
    ended = program.run(Order(list(work.argv), str(work.out), str(log)))
    if ended.code:
        raise RuntimeError(f"'{work.name}' fails undisturbed: {log.read_text()[-2000:]}")
    return Whole(ended, content(work.out))


def killed_work(
    work: Work, whole: Whole, program: Program, draw: random.Random, log: Path
) -> Trial:
    """Do a work whose process is killed once or a few times, each time at another moment."""
    shutil.rmtree(work.out, ignore_errors=True)
    trial = Trial()
    finished: dict[Path, tuple[int, int, int, str]] = {}
    is_done = False
    for _ in range(draw.randint(1, _MOST_KILLS)):
        order = Order(work.next_argv(), str(work.out), str(log))
        ended = _started(trial, work, program, _with_moment(order, whole.ended, work.victims, draw))
        if not ended.was_killed:
            is_done = _note_end(trial, ended, log)
            break
        trial.kills += 1
        _note_orphans(trial, ended)
        _note_touched(trial, finished)
        finished = marks(work.finished(work.out))
        trial.finished = len(finished)
        trial.telling += bool(finished) or newest_step(work.out) > 0
        if ended.code not in (KILLED, _REFUSED) or (finished and work.has_ended(work.out)):
            is_done = _note_end(trial, ended, log) if ended.code != KILLED else True
            break
    if not is_done and not trial.problems:
        order = Order(work.next_argv(), str(work.out), str(log))
        _note_end(trial, _started(trial, work, program, order), log)
    _note_touched(trial, finished)
    if not trial.problems:
        trial.problems += _differences(content(work.out), whole.content)
    return trial


def _with_moment(
    order: Order, whole: Ended, victims: tuple[str, ...], draw: random.Random
) -> Order:
    """Kill at any time, at any change of a file, or in any stage: each as often as the others."""
    order = replace(order, victim=draw.choice(victims), which=draw.randrange(8))
    way = draw.choice((0, 2)) if order.victim else draw.randrange(3)
    if way == 0:
        return replace(order, after_s=draw.uniform(0.02, 0.95 * whole.seconds))
    if way == 1 or not whole.stages:
        return replace(order, at_change=draw.randint(1, max(1, whole.changes)))
    stage = draw.choice(sorted(whole.stages))
    return replace(order, in_stage=(stage, draw.randint(1, whole.stages[stage])))


def _started(trial: Trial, work: Work, program: Program, order: Order) -> Ended:
    """Start a work; hold that it goes on from its last step, and says so unless it is killed."""
    should_tell = trial.kills > 0 and work.has_begun(work.out)
    step, log = newest_step(work.out), Path(order.log)
    log.unlink(missing_ok=True)
    ended = program.run(order)
    said = _text(log)
    if should_tell and not ended.was_killed and not any(text in said for text in _TELLS):
        trial.problems.append("the next start does not say what happened")
    if (first := first_step(said)) is not None and first < step:
        trial.lost += step - first
        trial.problems.append(f"it went on from step {first}, and not from {step}")
    if "Traceback" in said:
        trial.problems.append(f"a traceback: {said[said.index('Traceback') :][-500:]}")
    return ended


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _note_end(trial: Trial, ended: Ended, log: Path) -> bool:
    _note_orphans(trial, ended)
    said = _text(log)
    if ended.code and _HAS_ENDED not in said:
        trial.problems.append(f"it ended with {ended.code}: {said[-500:]}")
    return True


def _note_orphans(trial: Trial, ended: Ended) -> None:
    if ended.orphans_s > _ORPHANS_S:
        trial.problems.append(f"a process that it had started lived on for {ended.orphans_s:.0f} s")


def _note_touched(trial: Trial, finished: dict[Path, tuple[int, int, int, str]]) -> None:
    problems = touched(finished)
    trial.lost += len(problems)
    trial.problems += problems


def _differences(found: dict[str, str], wanted: dict[str, str]) -> list[str]:
    names = sorted(found.keys() | wanted.keys())
    said = []
    for name in names:
        if name not in wanted:
            said.append(f"{name} was left over")
        elif name not in found:
            said.append(f"{name} is missing")
        elif found[name] != wanted[name]:
            said.append(f"{name} differs from that of an undisturbed run")
    return said
