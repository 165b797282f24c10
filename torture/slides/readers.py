"""Reads spoiled slides in processes of their own, so that one that dies is counted and replaced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torture.plan import Plan

__all__ = ["Case", "Outcome", "read_cases"]

MOST_READERS = 4
PART = 250


@dataclass(frozen=True, slots=True)
class Case:
    """One spoiled slide.

    Parameters
    ----------
    number : int
        With the seed it decides what is spoiled.
    name : str
        Of the sound slide.
    way : str
        How it is spoiled.
    """

    number: int
    name: str
    way: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case.

    Parameters
    ----------
    case : Case
    came : str
        "read", "damaged" (in part), "refused" or "stopped" (in its trial); else a fault.
    said : str
        The sentence, or more of the fault.
    """

    case: Case
    came: str
    said: str


def read_cases(
    plan: Plan, slides: dict[str, Path], cases: list[Case], folder: Path, *, has_trial: bool
) -> list[Outcome]:
    """Read spoiled slides in several processes at once.

    Parameters
    ----------
    plan : Plan
    slides : dict of str to Path
        Sound ones.
    cases : list of Case
    folder : Path
        To work in; is made.
    has_trial : bool
        Whether slides are tried in a probe process first, as they are for users.
    """
    parts = [cases[start : start + PART] for start in range(0, len(cases), PART)]
    n_readers = min(MOST_READERS, os.cpu_count() or 1, len(parts))
    (folder / "user").mkdir(parents=True)

    def read(number: int) -> list[Outcome]:
        place = folder / str(number)
        place.mkdir()
        found = _read_part(plan, slides, parts[number], place, has_trial)
        plan.say(f"slides: {number + 1} of {len(parts)} parts")
        return found

    with ThreadPoolExecutor(n_readers) as threads:
        found = [one for part in threads.map(read, range(len(parts))) for one in part]
    for one in found:
        if one.came not in ("read", "damaged", "refused"):
            plan.say(f"slides: {asdict(one.case)}: {one.came}: {one.said[:600]}")
    return found


def _read_part(
    plan: Plan, slides: dict[str, Path], cases: list[Case], folder: Path, has_trial: bool
) -> list[Outcome]:
    found: dict[int, Outcome] = {}
    while len(found) < len(cases):
        rest = [case for case in cases if case.number not in found]
        found |= _read_rest(plan, slides, rest, folder, has_trial)
    return [found[case.number] for case in cases]


def _read_rest(
    plan: Plan, slides: dict[str, Path], cases: list[Case], folder: Path, has_trial: bool
) -> dict[int, Outcome]:
    """Read on with a new process, up to the end or the case at which it dies."""
    by_number = {case.number: case for case in cases}
    job: dict[str, Any] = {"seed": plan.seed, "folder": str(folder)}
    job["slides"] = {name: str(path) for name, path in slides.items()}
    job["cases"] = [[case.number, case.name, case.way] for case in cases]
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    environment = os.environ | {
        "DRE_SLCL_CONFIG_DIR": str(folder.parent / "user"),
        "DRE_SLCL_PROBE": "on" if has_trial else "off",
    }
    done = subprocess.run(
        [sys.executable, "-m", "torture.slides.reader", str(folder / "job.json")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    found: dict[int, Outcome] = {}
    last = None
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            case = by_number[said["number"]]
            found[case.number] = Outcome(case, said["came"], said.get("said", ""))
        else:
            last = int(line)
    if done.returncode and last is not None and last not in found:
        is_hung = "Timeout" in done.stderr
        came = "hung" if is_hung else "ended the process"
        found[last] = Outcome(by_number[last], came, f"{done.returncode}: {done.stderr[-1500:]}")
    if not found:
        raise RuntimeError(f"spoiled slides cannot be read: {done.stderr[-1500:]}")
    return found
