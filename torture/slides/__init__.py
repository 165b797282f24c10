"""Slides that are broken or made to do harm, by the thousand, read through the product.

Each is opened, searched for tissue, read tile by tile and as napari draws it, its other images too,
and every twenty-fifth goes through the command line as well.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator
from pathlib import Path

from torture.plan import Plan
from torture.row import Row
from torture.slides.bounds import MEMORY_BYTES, SLOW_S
from torture.slides.made import make_slides
from torture.slides.readers import Case, Outcome, read_cases
from torture.slides.spoil import WAYS

__all__ = ["REAL_SLIDES", "cases_of", "run"]

FILES = 20_000
UNTRIED_SHARE = 0.05
SOUND_ENDS = ("read", "damaged", "refused", "stopped")
REAL_SLIDES = Path(__file__).resolve().parents[3] / "shared" / "data" / "slides"


def run(plan: Plan) -> Iterator[Row]:
    """Read spoiled slides of all formats, and some of them without a trial process before."""
    made = plan.folder / "made"
    made.mkdir()
    slides = make_slides(made, REAL_SLIDES)
    cases = cases_of(plan, slides)
    outcomes = read_cases(plan, slides, cases, plan.folder / "tried", has_trial=True)
    for way in WAYS:
        yield _row(plan, f"slides: {way}", [one for one in outcomes if one.case.way == way])
    few = cases[:: round(1 / UNTRIED_SHARE)]
    bare = read_cases(plan, slides, few, plan.folder / "untried", has_trial=False)
    yield _bare_row(plan, bare)


def cases_of(plan: Plan, slides: dict[str, Path]) -> list[Case]:
    """Return what is spoiled, and how; the first of them whatever the share."""
    chance = plan.random("slides")
    # Real ones are larger, and fewer of them tell as much.
    names = [name for name in slides for _ in range(1 if name.startswith("real") else 3)]
    count = max(len(WAYS), plan.count(FILES))
    return [Case(number, chance.choice(names), WAYS[number % len(WAYS)]) for number in range(count)]


def _row(plan: Plan, fault: str, outcomes: list[Outcome]) -> Row:
    counts = collections.Counter(one.came for one in outcomes)
    lost = sum(count for came, count in counts.items() if came not in SOUND_ENDS)
    return Row(fault, len(outcomes), len(outcomes) - lost, lost, plan.seed, _counted(counts))


def _bare_row(plan: Plan, outcomes: list[Outcome]) -> Row:
    """Without a trial a library may end the process; our own reading may still not overdo."""
    counts = collections.Counter(one.came for one in outcomes)
    lost = sum(
        count for came, count in counts.items() if came not in (*SOUND_ENDS, "ended the process")
    )
    bounds = f"{SLOW_S:g} s of processor time per step, {MEMORY_BYTES / 2**30:g} GiB"
    note = f"{_counted(counts)}; bounds {bounds}"
    survived = len(outcomes) - lost
    return Row("slides: all, without a trial", len(outcomes), survived, lost, plan.seed, note)


def _counted(counts: collections.Counter[str]) -> str:
    return ", ".join(f"{count:,} {came}" for came, count in counts.most_common())
