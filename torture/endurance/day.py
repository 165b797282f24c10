"""Eight hours in the window without the time to think: nothing may grow from hour to hour."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from torture.endurance.deck import HOURS, NEEDS_MODEL, deal
from torture.endurance.supplies import make_supplies, write_supplies
from torture.plan import Plan
from torture.row import Row

__all__ = ["Growth", "judge", "run"]

_ROOT = Path(__file__).resolve().parents[2]
_PARTS, _FEWEST_PARTS = 16, 3
_COUNTED = {
    "files": "file handles",
    "threads": "threads",
    "processes": "processes",
    "windows": "windows",
    "widgets": "widgets",
}
_WEIGHED = {"MiB": "the window", "MiB of engines": "its processes"}
_MIB_AN_HOUR = 6.0
_MIB_OF_NOISE = {"MiB": 24.0, "MiB of engines": 250.0}
_LONGEST_S = 3 * 3600.0
_LAST_LINES = 40
_START_S = 300.0

Held = dict[str, float]


class Growth:
    """How what is held has grown since the first hour.

    Parameters
    ----------
    parts : sequence of dict
        What was held after each part of the day.
    hours : float
        That all parts stand for.
    """

    def __init__(self, parts: Sequence[Held], hours: float) -> None:
        first = max(1, round(len(parts) / HOURS) - 1)
        self._judged = parts[first:]
        self._each_h = hours / len(parts)

    @property
    def hours(self) -> float:
        """Between the first and the last measurement that are judged."""
        return (len(self._judged) - 1) * self._each_h

    def count(self, name: str) -> int:
        """Return how many more there are at the end, whatever came and went meanwhile."""
        n_ends = max(1, len(self._judged) // 4)
        before, after = self._judged[:n_ends], self._judged[-n_ends:]
        return round(min(one[name] for one in after) - max(one[name] for one in before))

    def mib(self, name: str) -> float:
        """Return by how much a straight line through all measurements rises."""
        y = [one[name] for one in self._judged]
        return float(np.polyfit(range(len(y)), y, 1)[0]) * (len(y) - 1)


def judge(growth: Growth) -> dict[str, bool]:
    """Return what is to be said of each growth, and whether it is too much.

    Parameters
    ----------
    growth : Growth
        Counts may not grow at all; memory by 6 MiB an hour, and noise. Engines end with their
        dock, and weigh less before their first job than after it.
    """
    told = {
        f"{growth.count(name):+d} {text}": growth.count(name) > 0 for name, text in _COUNTED.items()
    }
    for name, text in _WEIGHED.items():
        most = _MIB_OF_NOISE[name] + _MIB_AN_HOUR * growth.hours
        told[f"{growth.mib(name):+.1f} MiB of {text}"] = growth.mib(name) > most
    return told


def run(plan: Plan) -> Iterator[Row]:
    """Live through the day in a window on a screen of its own."""
    if shutil.which("xvfb-run") is None:
        plan.say("endurance: the day in the window is left out, there is no xvfb-run")
        return
    folder = plan.folder / "day"
    folder.mkdir()
    deck = deal(plan.share, random.Random(f"{plan.seed} deck"))
    n_parts = max(_FEWEST_PARTS, round(_PARTS * plan.share))
    has_model = any(name in deck for name in NEEDS_MODEL)
    write_supplies(folder / "supplies.json", make_supplies(folder, has_model=has_model))
    parts, ending = _live(plan, folder, n_parts)
    n_done = int(parts[-1]["actions"]) if parts else 0
    problems = [] if ending == "" else [ending]
    words, n_grown = "no figures", 0
    if len(parts) == n_parts:
        told = judge(Growth(parts, HOURS * plan.share))
        grown = [text for text, is_too_much in told.items() if is_too_much]
        words, n_grown = f"since the first hour {', '.join(told)}", len(grown)
        problems += [f"too much: {text}" for text in grown]
    note = "; ".join([words, *problems])
    what = f"{HOURS * plan.share:.3g} hours in the window, an action each 5 s"
    survived = len(deck) if n_done == len(deck) and not problems else min(n_done, len(deck) - 1)
    yield Row(what, len(deck), survived, n_grown, plan.seed, note)


def _live(plan: Plan, folder: Path, n_parts: int) -> tuple[list[Held], str]:
    """Return what was held after each part, and what went wrong."""
    command = [
        *("xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", sys.executable),
        *("-m", "torture.endurance.window", str(folder / "supplies.json")),
        *(str(plan.share), str(plan.seed), str(n_parts)),
    ]
    parts: list[Held] = []
    errors: list[str] = []
    said: deque[str] = deque(maxlen=_LAST_LINES)
    with _started(command, folder) as process:
        end = threading.Timer(_START_S + _LONGEST_S * plan.share, _kill, (process,))
        end.start()
        for line in process.stdout or ():
            if not line.startswith("{"):
                said.append(line)
                continue
            told = json.loads(line)
            errors += told.get("errors", ())
            if "actions" in told:
                parts.append(told)
                plan.say(f"endurance: the day: {line.strip()}")
        code = process.wait()
        end.cancel()
    if code:
        plan.say("".join(said))
    if errors:
        return parts, f"{len(errors)} errors, the first: {errors[0]}"
    return parts, f"the window ended with {code}: {''.join([*said][-2:]).strip()}" if code else ""


def _started(command: list[str], folder: Path) -> subprocess.Popen[str]:
    (folder / "tmp").mkdir(exist_ok=True)
    environment = os.environ | {
        "DRE_SLCL_CONFIG_DIR": str(folder / "user"),
        "NAPARI_CONFIG": str(folder / "napari.yaml"),
        "TMPDIR": str(folder / "tmp"),
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join((str(_ROOT), str(_ROOT / "src"))),
    }
    environment.pop("QT_QPA_PLATFORM", None)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # xvfb-run does so as well
        text=True,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


def _kill(process: subprocess.Popen[str]) -> None:
    """End the window with its screen, where the day takes too long."""
    os.killpg(process.pid, signal.SIGKILL)
