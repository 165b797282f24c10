"""Runs commands on a disk that fails, and looks at the order in which they write, flush and rename.

A library that is preloaded before the C library lets calls below a folder fail (``faulty.c``).
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from torture.disk.control import Control
from torture.disk.library import build, preloaded, why_not
from torture.disk.sequence import read_sequence
from torture.disk.trial import (
    FAULTS,
    SLOW,
    Fault,
    Trial,
    Whole,
    disturbed,
    draw_call,
    slowed,
    undisturbed,
)
from torture.kills.program import Program, started
from torture.kills.works import Work, all_works, make_cohort
from torture.plan import Plan
from torture.row import Row

__all__ = ["TRIES", "WORKS", "run"]

TRIES = 120
"""Of all commands and faults together, in the whole suite."""
WORKS = ("train", "embed", "predict", "export", "index")
_SLIDES = 6
_SHOWN = 5


def run(plan: Plan, names: Sequence[str] = WORKS) -> Iterator[Row]:
    """Let the disk fail under each command, or those of some names; one row for each fault."""
    reason = why_not()
    if reason:
        plan.say(f"disk: left out, {reason}")
        return
    cohort = make_cohort(plan.folder / "cohort", _SLIDES)
    below = plan.folder / "work"
    below.mkdir()
    works = all_works(cohort, plan.folder / "model", plan.folder / "results", below)
    wanted = [work for work in works if work.name in names]
    modules = [f"napari_dre_slcl.{work.module}" for work in wanted]
    control = Control(plan.folder / "control", below)
    with preloaded(build(plan.folder), control), started(plan.folder, modules) as program:
        disk = _Disk(plan, program, control)
        yield disk.order(wanted)
        for fault in FAULTS:
            yield disk.fails(fault, wanted)
        yield disk.is_slow(wanted)


class _Disk:
    """What all rows need."""

    def __init__(self, plan: Plan, program: Program, control: Control) -> None:
        self._plan = plan
        self._program = program
        self._control = control
        self._log = plan.folder / "log.txt"
        self._whole: dict[str, Whole] = {}

    def order(self, works: Sequence[Work]) -> Row:
        """Do each work undisturbed and read in what order it wrote."""
        tried = survived = lost = 0
        problems: Counter[str] = Counter()
        for work in works:
            record = self._plan.folder / f"{work.name}.record"
            whole = undisturbed(work, self._program, self._control, self._log, record)
            self._whole[work.name] = whole
            found = read_sequence(record, work.out.parent)
            finished = {str(path.relative_to(work.out.parent)) for path in work.finished(work.out)}
            twice = [path for path in sorted(finished) if found.named[path] > 1]
            problems.update(found.problems)
            problems.update(f"'{path}' was written twice" for path in twice)
            names = found.named.total()
            tried += names
            survived += max(0, names - len(found.problems))
            lost += len(twice)
            self._plan.say(f"order of {work.name}: {names} names, {len(found.problems)} problems")
            _keep(work, self._plan.folder)
        note = "each name was given to what was on disk, and was flushed"
        return self._row("order of write, flush, rename", (tried, survived, lost), problems, note)

    def fails(self, fault: Fault, works: Sequence[Work]) -> Row:
        """Let the disk fail in one way, at drawn calls of each work."""
        draw = self._plan.random(f"disk {fault.name}")
        tried = survived = lost = refused = 0
        problems: Counter[str] = Counter()
        for number in range(self._plan.count(round(TRIES * fault.share))):
            work = works[number % len(works)]
            whole = self._whole[work.name]
            at = draw_call(draw, max(1, whole.counts[fault.name]))
            trial = disturbed(work, whole, fault, at, self._program, self._control, self._log)
            tried += 1
            survived += not trial.problems
            lost += trial.lost
            refused += bool(trial.code)
            problems.update(f"{work.name} at call {at}: {text}" for text in trial.problems)
            self._say(fault, work, at, trial)
        note = f"{refused} ended with a sentence, {tried - refused} went on"
        return self._row(fault.name, (tried, survived, lost), problems, note)

    def is_slow(self, works: Sequence[Work]) -> Row:
        """Let each call take its time."""
        problems: Counter[str] = Counter()
        survived = 0
        for work in works[: self._plan.count(len(works))]:
            whole = self._whole[work.name]
            trial = slowed(work, whole, self._program, self._control, self._log)
            survived += not trial.problems
            problems.update(f"{work.name}: {text}" for text in trial.problems)
        tried = self._plan.count(len(works))
        return self._row(SLOW, (tried, survived, 0), problems, "5 ms for each call")

    def _say(self, fault: Fault, work: Work, at: int, trial: Trial) -> None:
        last = (trial.said.strip().splitlines() or [""])[-1][:160]
        said = "; ".join(trial.problems) or f"well ({trial.code}: {last})"
        self._plan.say(f"{fault.name}, {work.name} at call {at}: {said}")

    def _row(
        self, name: str, counts: tuple[int, int, int], problems: Counter[str], note: str
    ) -> Row:
        if problems:
            note = "; ".join(f"{n} x {text}" for text, n in problems.most_common(_SHOWN))
        return Row(name, *counts, self._plan.seed, note)


def _keep(work: Work, folder: Path) -> None:
    """Keep what later works need of earlier ones."""
    kept = {"train": "model", "predict": "results"}
    if work.name in kept:
        shutil.copytree(work.out, folder / kept[work.name])
