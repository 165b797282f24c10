"""The rows of private data: sown, worked with in every way, and looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torture.plan import Plan
from torture.private.commands import Place, run_commands
from torture.private.identities import Identities, Seed
from torture.private.keys import key_rows
from torture.private.made_cohort import make_cohort
from torture.private.network import network_row
from torture.private.screen import picture_row
from torture.private.search import Leak, leaks_in
from torture.private.work import (
    crash_commands,
    export_command,
    looking_commands,
    shared_commands,
    work_commands,
)
from torture.row import Row

__all__ = ["run"]

_UNASKED = {
    "header": "identifiers in header fields of slides",
    "report": "identifiers in reports",
    "patient": "patient_id of the table",
    "column": "columns of the table with names and birth dates",
}
"""What nobody has asked for by training on slides."""
_NAMES = ("slide", "file", "folder", "table")
"""What names a slide of the user's own table."""
_WITH_ALL, _WITH_WINDOW = 0.02, 0.2
"""Shares from which on slides of every kind are looked at; and several processes share work, and
the window is opened."""
_PSEUDONYMIZE = ("--pseudonymize",)


def run(plan: Plan) -> Iterator[Row]:
    """Sow identifiers, run every command without and with pseudonyms, and search."""
    who = Identities(plan.random("private"))
    cohort = make_cohort(plan.folder / "input", who)
    opened, closed, broken = (Place(plan.folder / name) for name in ("open", "closed", "crash"))
    quoted = who.word("header", "text of an error of a library")
    pinned = who.of("slide")[0].text
    few = slice(0 if plan.share >= _WITH_ALL else -2, None)
    commands = [
        *looking_commands([*cohort.kinds[few], cohort.broken], cohort, opened),
        *work_commands(cohort, opened, pinned, ()),
        export_command(opened, opened, "export", ()),
        *work_commands(cohort, closed, pinned, _PSEUDONYMIZE),
        *(shared_commands(cohort, closed, _PSEUDONYMIZE) if plan.share >= _WITH_WINDOW else ()),
        export_command(closed, closed, "export", _PSEUDONYMIZE),
        # It is given files with names, and says what became of each.
        export_command(opened, closed, "export-of-named", _PSEUDONYMIZE, is_loud=True),
        *crash_commands(cohort, broken, quoted),
    ]
    plan.say(f"private: {len(commands)} commands on {len(cohort.slides)} slides")
    failed = run_commands(commands, plan.folder / "process")
    yield from _open_rows(plan, opened, who, failed)
    yield from _closed_rows(plan, closed, who, failed)
    yield _crash_row(plan, broken, who, failed)
    yield from key_rows(plan, cohort, closed)
    has_window = plan.share >= _WITH_WINDOW
    yield picture_row(plan, cohort, opened, has_window=has_window)
    yield network_row(plan, len(commands), plan.folder / "process", has_demo=has_window)


def _open_rows(plan: Plan, place: Place, who: Identities, failed: Sequence[str]) -> Iterator[Row]:
    found = _leaks(place, who.of(*_UNASKED))
    for kind, words in _UNASKED.items():
        own = [leak for leak in found if leak.seed.kind == kind]
        yield _row(plan, f"{words}: all files and output", who.of(kind), own, failed)
    names = who.of(*_NAMES)
    # What is passed on. Of the model's settings folders may be named, which hold features.
    passed = leaks_in(place.made / "export", names)
    model = leaks_in(place.made / "run" / "model", who.of("slide", "file"))
    yield _row(plan, "names of slides and files: exports, model", names, passed + model, failed)


def _closed_rows(plan: Plan, place: Place, who: Identities, failed: Sequence[str]) -> Iterator[Row]:
    """Search everything, the terminal too, for every name."""
    found = _leaks(place, who.seeds)
    for kinds, words in (
        (_NAMES, "slide ids, file names, folders"),
        (("patient",), "patient ids"),
        (("header", "report", "column"), "headers, reports, further columns"),
    ):
        own = [leak for leak in found if leak.seed.kind in kinds]
        what = f"--pseudonymize, {words}: all files and output"
        yield _row(plan, what, who.of(*kinds), own, failed)


def _crash_row(plan: Plan, place: Place, who: Identities, failed: Sequence[str]) -> Row:
    """Look at what is told of an error that quotes a header, in a job and outside of one."""
    seeds = who.of(*_UNASKED)
    silent = [
        f"{file.name} tells of no ValueError"
        for file in place.said.glob("*.txt")
        if "unexpected ValueError" not in file.read_text(encoding="utf-8")
    ]
    what = "an unforeseen error that quotes a header: messages, logs"
    return _row(plan, what, seeds, _leaks(place, seeds), [*failed, *silent])


def _leaks(place: Place, seeds: Sequence[Seed]) -> list[Leak]:
    """Search what was made and printed, and what lies in the temporary folder."""
    folders = (place.made, place.said, place.home / "tmp")
    return [leak for folder in folders for leak in leaks_in(folder, seeds)]


def _row(
    plan: Plan, fault: str, seeds: Sequence[Seed], leaks: Sequence[Leak], failed: Sequence[str]
) -> Row:
    """Count the identifiers that were found; where a command failed nothing is proved."""
    lost = {leak.seed for leak in leaks}
    told = [*failed, *map(str, leaks)]
    for line in told[:20]:
        plan.say(f"private: {line}")
    survived = 0 if failed else len(seeds) - len(lost)
    return Row(fault, len(seeds), survived, len(lost), plan.seed, "; ".join(told[:3]))
