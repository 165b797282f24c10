"""Two windows and a command line on one run folder: one works, the others are told who does."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from napari_dre_slcl.jobs.run_status import read_status
from torture.endurance.contenders import Answer, Contenders, contenders
from torture.kills.order import Order
from torture.kills.works import make_cohort
from torture.plan import Plan
from torture.row import Row

__all__ = ["ROUNDS", "run"]

ROUNDS = 25
_SLIDES = 6
_KILL_SHARE = 0.6
_MOST_KILLS = 2
_WITHIN_S = 3.0
_LONGEST_S = 300.0
_COMPARED = ("model/model.safetensors", "metrics.json", "predictions.csv", "losses.csv")
_WHO = re.compile(r"under way in another process: process (\d+) on \S+, since \d{4}-\d\d-\d\d")
_LEFT = re.compile(r"was left by process (\d+) on \S+, since [^.]*, which ended without a word")
_OVER = "has ended well"
_TRAINING = {
    "cohort.tasks": "grade",
    "encoder.name": "test_resnet",
    "encoder.input_px": "32",
    "codebook.codewords": "3",
    "training.epochs": "6",
    "training.slides_per_batch": "2",
    "training.fresh_tiles": "2",
    "training.checkpoint_steps": "1",
    "training.preflight": "false",
    "training.device": "cpu",
}


@dataclass(slots=True)
class _Round:
    """What came of one run folder."""

    tried: int = 0
    kills: int = 0
    problems: list[str] = field(default_factory=list)
    killed: set[int] = field(default_factory=set)


def run(plan: Plan) -> Iterator[Row]:
    """Let all want the same run again and again, and kill who has it."""
    folder = plan.folder / "shared"
    folder.mkdir()
    cohort = make_cohort(folder / "cohort", _SLIDES)
    draw, counts = plan.random("shared"), Counter[str]()
    survived = lost = 0
    rounds = plan.count(ROUNDS)
    with contenders(folder) as all_of_them:
        whole = _content(_train(all_of_them, folder, cohort, 0))
        begun = _train(all_of_them, folder, cohort, 3)
        for number in range(rounds):
            found = _one_round(all_of_them, shutil.copytree(begun, folder / "run"), draw)
            if _content(folder / "run") != whole:
                found.problems.append("the end differs from that of an undisturbed run")
                lost += 1
            shutil.rmtree(folder / "run")
            survived += found.tried if not found.problems else 0
            counts.update({"starts": found.tried, "kills": found.kills})
            counts.update(found.problems)
            said = "; ".join(found.problems) or "one worked, the others were told who"
            plan.say(f"endurance: shared run {number}: {found.kills} kills: {said}")
    tried, kills = counts.pop("starts"), counts.pop("kills")
    note = f"{rounds} runs, {kills} kills of who had it"
    note += "".join(f"; {n} x {text}" for text, n in counts.most_common(5))
    yield Row("two windows and a command line want one run", tried, survived, lost, plan.seed, note)


def _train(members: Contenders, folder: Path, cohort: Path, steps: int) -> Path:
    """Train to the end, or kill the training at one of its steps."""
    run, log = folder / f"begun-{steps}", folder / "train.log"
    settings = [part for name, value in _TRAINING.items() for part in ("--set", f"{name}={value}")]
    argv = ["train", "--cohort", str(cohort), "--run", str(run), "--preset", "cpu-small", "--json"]
    order = Order(
        [*argv, *settings], str(run), str(log), in_stage=("Training" * bool(steps), steps)
    )
    ended = members.program.run(order)
    if ended.code != (-9 if steps else 0):
        raise RuntimeError(f"the training ended with {ended.code}: {log.read_text()[-2000:]}")
    return run


def _one_round(members: Contenders, run: Path, draw: random.Random) -> _Round:
    found = _Round()
    while len(found.problems) < 3:
        has_dead = bool(found.killed)
        answers = _wave(members, run, draw, found)
        found.tried += len(answers)
        _judge(answers, has_dead, found)
        if not any(answer.kind == "killed" for answer in answers):
            break
    # Who comes later finds it done, and changes nothing.
    whole = _content(run)
    late = [answer.result() for answer in members.start(run)]
    found.tried += len(late)
    is_refused = all(answer.kind == "failed" for answer in late)
    if not is_refused or _content(run) != whole:
        found.problems.append("a finished run was gone on with")
    return found


def _wave(members: Contenders, run: Path, draw: random.Random, found: _Round) -> list[Answer]:
    """Let all start at once; perhaps kill the one who has got it."""
    answers = members.start(run)
    if found.kills < _MOST_KILLS and draw.random() < _KILL_SHARE:
        _kill_holder(run, answers, draw.uniform(0.0, _WITHIN_S), found)
    done, late = wait(answers, timeout=_LONGEST_S)
    if late:
        found.problems.append(f"{len(late)} did not answer")
    return [answer.result() for answer in done]


def _kill_holder(run: Path, answers: list[Future[Answer]], after_s: float, found: _Round) -> None:
    """Kill who holds a run a while after it has taken it, as the list of runs tells."""
    until = None
    while not all(answer.done() for answer in answers):
        holder = read_status(run).holder
        until = time.monotonic() + after_s if holder and until is None else until
        if holder is not None and until is not None and time.monotonic() >= until:
            os.kill(holder.pid, signal.SIGKILL)
            found.kills += 1
            found.killed.add(holder.pid)
            return
        time.sleep(0.01)


def _judge(answers: list[Answer], has_dead: bool, found: _Round) -> None:
    """Find what is wrong with the answers to one start, of a run that a dead one may have left.

    Who was slow to start may follow one that was killed after the same start.
    """
    if sum(answer.kind == "result" for answer in answers) > 1:
        found.problems.append("two finished the same run")
    for answer in answers:
        if "Traceback" in answer.text:
            found.problems.append(f"{answer.who} showed a traceback")
        if answer.kind == "failed" and not (_WHO.search(answer.text) or _OVER in answer.text):
            found.problems.append(f"{answer.who} was refused without a name")
        if answer.kind == "result" and has_dead:
            told = _LEFT.search(answer.text)
            if told is None or int(told[1]) not in found.killed:
                found.problems.append(f"{answer.who} did not say whom it followed")


def _content(run: Path) -> dict[str, str]:
    return {
        name: hashlib.sha256((run / name).read_bytes()).hexdigest()
        for name in _COMPARED
        if (run / name).is_file()
    }
