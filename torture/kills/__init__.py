"""Ends commands by SIGKILL at any moment, goes on with them, and looks for what was lost."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from torture.kills.program import Program, started
from torture.kills.trial import Trial, killed_work, undisturbed
from torture.kills.works import Work, all_works, make_cohort
from torture.plan import Plan
from torture.row import Row

__all__ = ["KILLS", "run"]

KILLS = 300
"""Of all commands together, in the whole suite."""


def run(plan: Plan, names: Sequence[str] = (), n_slides: int = 9) -> Iterator[Row]:
    """Kill each command, or those of some names; one row for each.

    Parameters
    ----------
    plan : Plan
        How many kills, and where.
    names : sequence of str
        Commands; all by default. ``predict`` and ``index`` need the model of ``train``, and
        ``export`` the results of ``predict``.
    n_slides : int
        That each works on.
    """
    if sys.platform != "linux":
        plan.say("kills: left out, processes are forked with torch loaded only on Linux")
        return
    cohort = make_cohort(plan.folder / "cohort", n_slides)
    model, results = plan.folder / "model", plan.folder / "results"
    works = [
        work
        for work in all_works(cohort, model, results, plan.folder / "work")
        if not names or work.name in names
    ]
    (plan.folder / "work").mkdir()
    modules = [f"napari_dre_slcl.{work.module}" for work in works]
    with started(plan.folder, modules) as program:
        for work in works:
            yield _killed_often(work, program, plan)


def _killed_often(work: Work, program: Program, plan: Plan) -> Row:
    draw, log = plan.random(f"kills {work.name}"), plan.folder / "log.txt"
    whole = undisturbed(work, program, log)
    _keep(work, plan.folder)
    wanted = plan.count(round(KILLS * work.share))
    tried = survived = lost = runs = 0
    problems: Counter[str] = Counter()
    while tried < wanted:
        trial = killed_work(work, whole, program, draw, log)
        runs += 1
        tried += trial.kills
        lost += trial.lost
        survived += 0 if trial.problems else trial.kills
        problems.update(trial.problems)
        _say(plan, work, runs, trial)
    shutil.rmtree(work.out)
    note = f"{runs} runs; {whole.ended.seconds:.1f} s undisturbed"
    if problems:
        note += "; " + "; ".join(f"{n} x {text}" for text, n in problems.most_common(5))
    return Row(f"kill of {work.name}", tried, survived, lost, plan.seed, note)


def _keep(work: Work, folder: Path) -> None:
    """Keep what later works need of earlier ones."""
    kept = {"train": "model", "predict": "results"}
    if work.name in kept:
        shutil.copytree(work.out, folder / kept[work.name])


def _say(plan: Plan, work: Work, number: int, trial: Trial) -> None:
    said = "; ".join(trial.problems) or "as it was never killed"
    plan.say(
        f"{work.name} {number}: {trial.kills} kills, {trial.finished} files finished at the last: "
        f"{said}"
    )
