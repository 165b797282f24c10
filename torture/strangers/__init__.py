"""Hostile models, features, tables and settings: no code runs, sizes are bounded, nothing leaks."""

from __future__ import annotations

from collections.abc import Iterator

from torture.plan import Plan
from torture.row import Row
from torture.strangers.exports import try_exports, try_terminal
from torture.strangers.kinds import HEAVY, KINDS
from torture.strangers.loaders import find_loaders
from torture.strangers.trial import Tally, Trial

__all__ = ["run"]

_TIMES, _TIMES_HEAVY = 4000, 1000


def run(plan: Plan) -> Iterator[Row]:
    """Hand all readers files that were made to do harm, then files that were changed at random."""
    yield _loaders(plan)
    yield try_exports(plan)
    yield try_terminal(plan)
    plan.say("strangers: writing honest and hostile files")
    with Trial(plan.folder) as trial:
        yield from _corpus(plan, trial)
        honest = trial.honest
        for kind in KINDS:
            tally = Tally()
            where = plan.folder / "changed" / kind.replace(" ", "-") / "copy"
            path = where / honest[kind].name
            for number in range(plan.count(_TIMES_HEAVY if kind in HEAVY else _TIMES)):
                seed = f"{plan.seed} {kind} {number}"
                answer = trial.read(kind, path, honest=str(honest[kind]), seed=seed)
                tally.add(f"number {number}", answer, may_read=True)
            yield _row(f"changed at random: {kind}", tally, plan)


def _loaders(plan: Plan) -> Row:
    n_files, found = find_loaders()
    note = "; ".join(found[:5]) or "no call in src or torture that could run what a file holds"
    return Row("loaders that run code", n_files, n_files - len(found), len(found), plan.seed, note)


def _corpus(plan: Plan, trial: Trial) -> Iterator[Row]:
    tallies: dict[str, Tally] = {}
    for sample in trial.hostile:
        tally = tallies.setdefault(sample.family, Tally())
        answer = trial.read(sample.kind, sample.path)
        tally.add(f"{sample.name} ({sample.kind})", answer, may_read=False)
        marker = sample.path.parent / "code-ran"
        if marker.exists():
            tally.add(f"{sample.name} ran its code", {"outcome": "code"}, may_read=False)
    for family, tally in tallies.items():
        yield _row(f"made to do harm: {family}", tally, plan)


def _row(fault: str, tally: Tally, plan: Plan) -> Row:
    lost = sum(tally.counts[name] for name in ("crash", "hang", "memory", "code", "accepted"))
    return Row(fault, tally.n_tried, tally.n_survived, lost, plan.seed, tally.note())
