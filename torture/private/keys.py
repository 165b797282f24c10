"""Rows on key and table of pseudonyms: closed to others, the same everywhere, other for others."""

from __future__ import annotations

import csv
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from torture.plan import Plan
from torture.private.commands import Place
from torture.private.made_cohort import MadeCohort
from torture.row import Row

__all__ = ["key_rows"]

_PSEUDONYM = re.compile(r"(?:slide|patient)-[0-9a-f]{16}")
_PRIVATE = ("key", "names.csv", "cohort.csv")


def key_rows(plan: Plan, cohort: MadeCohort, place: Place) -> Iterator[Row]:
    """Look at what ``--pseudonymize`` has left in the user's folder and in what was made."""
    private = place.home / "config" / "pseudonyms"
    if not (private / "names.csv").is_file():
        yield Row("key and table of pseudonyms", 1, 0, 1, plan.seed, "there are none")
        return
    yield _modes(plan, private)
    yield _consistency(plan, cohort, place.made, private)


def _modes(plan: Plan, private: Path) -> Row:
    files = [path for path in private.rglob("*") if path.name in _PRIVATE]
    is_closed = stat.S_IMODE(private.stat().st_mode) == 0o700
    open_files = [path for path in files if stat.S_IMODE(path.stat().st_mode) != 0o600]
    tried = len(files) + 1
    lost = len(open_files) + (not is_closed)
    told = ", ".join(path.name for path in open_files)
    return Row("key and table of pseudonyms: only their user may read them", tried, tried - lost,
               lost, plan.seed, told)  # fmt: skip


def _consistency(plan: Plan, cohort: MadeCohort, made: Path, private: Path) -> Row:
    """Each slide and patient has one pseudonym, in every file, and the table knows who it is."""
    with (private / "names.csv").open(encoding="utf-8", newline="") as stream:
        behind = {row["pseudonym"]: row["name"] for row in csv.DictReader(stream)}
    with cohort.table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = {row["slide_id"] for row in rows} | {row["patient_id"] for row in rows}
    by_name = {name: [one for one, own in behind.items() if own == name] for name in names}
    used = {
        "predictions": _used(made / "run" / "predictions.csv"),
        "features": {path.stem for path in (made / "h5").glob("*.h5")},
        "results": {path.name.split(".")[0] for path in (made / "p").glob("*.npz")},
        "index": _of_index(made / "run" / "index" / "index.json"),
        "evaluation": _used(made / "evaluation" / "predictions.csv"),
    }
    unknown = {one for found in used.values() for one in found if behind.get(one) not in names}
    empty = [name for name, found in used.items() if not found]
    torn = [name for name, own in by_name.items() if len(own) != 1]
    tried = len(names) + len(used)
    lost = len(torn) + len(empty) + len(unknown)
    told = "; ".join([*(f"none in {name}" for name in empty), *sorted(unknown)[:3]])
    return Row("one pseudonym for each slide and patient in all files", tried, tried - lost, lost,
               plan.seed, told)  # fmt: skip


def _used(file: Path) -> set[str]:
    return set(_PSEUDONYM.findall(file.read_text(encoding="utf-8"))) if file.is_file() else set()


def _of_index(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    return set(_PSEUDONYM.findall(json.dumps(json.loads(file.read_text(encoding="utf-8")))))
