"""A thousand slides in one cohort, one in twenty broken: every command comes to its end."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.cohort.left_out import read_left_out
from torture.endurance.broken import WAYS
from torture.endurance.many_slides import Crowd, make_crowd
from torture.kills.order import Order
from torture.kills.program import Program, started
from torture.plan import Plan
from torture.row import Row

__all__ = ["SLIDES", "run"]

SLIDES = 1000
_SHARE = 0.05
_SEEN_BY_NAME = ("missing", "a folder", "a link to nowhere")
"""What a look at the table can tell, which opens no slide."""
_MODULES = tuple(
    f"napari_dre_slcl.engine.{name}" for name in ("embed_cohort", "train", "predict", "build_index")
)
_ENCODER = ("--preset", "cpu-small", "--encoder", "test_resnet", "--set", "encoder.input_px=32")
_TRAINING = {
    "cohort.tasks": "grade",
    "codebook.codewords": "4",
    "training.epochs": "1",
    "training.preflight": "false",
    "training.device": "cpu",
    "cohort.most_broken": "0.2",  # of a dozen slides in the short form, two are broken
}
_SMALL = {"encoder.name": "test_resnet", "encoder.input_px": "32"}


@dataclass(frozen=True, slots=True)
class _Said:
    """What came of a command."""

    code: int
    text: str
    seconds: float

    @property
    def is_clean(self) -> bool:
        return self.code == 0 and "Traceback" not in self.text


def run(plan: Plan) -> Iterator[Row]:
    """Check, embed, embed again, train on the features and on the pixels, predict."""
    folder = plan.folder / "crowd"
    folder.mkdir()
    plan.say(f"endurance: making {plan.count(SLIDES):,} slides")
    crowd = make_crowd(folder, max(12, plan.count(SLIDES)), _SHARE, plan.random("crowd"))
    with started(folder, _MODULES) as program:
        shell = _Shell(program, folder, plan)
        yield _check(shell, crowd)
        first = shell.run(*_embed_command(shell, crowd))
        yield _embed(shell, crowd, first)
        yield _embed_again(shell, crowd, first)
        yield _train(shell, crowd)
        yield _train_on_pixels(shell, crowd)
        yield _predict(shell, crowd)


class _Shell:
    """Runs command lines and keeps what they say."""

    def __init__(self, program: Program, folder: Path, plan: Plan) -> None:
        self._program, self.folder, self.plan = program, folder, plan

    def run(self, *argv: str) -> _Said:
        log = self.folder / f"{argv[0]}.log"
        log.unlink(missing_ok=True)
        ended = self._program.run(Order(list(argv), str(self.folder), str(log)))
        self.plan.say(f"endurance: {argv[0]} ended with {ended.code} after {ended.seconds:.0f} s")
        return _Said(ended.code, log.read_text(encoding="utf-8"), ended.seconds)

    def row(self, what: str, tried: int, missed: Iterable[str], said: _Said, note: str) -> Row:
        """Return the row of a command; ``missed`` are the slides that came to no right end."""
        gone = sorted(missed)
        if not said.is_clean:
            note = f"{note}; ended with {said.code}: {said.text.strip().splitlines()[-1:]}"
        if gone:
            note = f"{note}; wrong: {', '.join(gone[:5])}"
        survived = tried - len(gone) if said.is_clean else 0
        return Row(what, tried, survived, len(gone), self.plan.seed, note)


def _check(shell: _Shell, crowd: Crowd) -> Row:
    said = shell.run("cohort", "check", str(crowd.table))
    # The code 2 is its answer: the table has problems.
    told = _Said(0 if said.code == 2 else 1, said.text, said.seconds)
    seen = [name for name, way in crowd.broken.items() if way in _SEEN_BY_NAME]
    joined = "".join(said.text.split())  # a narrow terminal breaks lines within names
    missed = [name for name in seen if f"{name}.tif" not in joined]
    if not seen:
        told = _Said(0 if said.code in (0, 2) else 1, said.text, said.seconds)
    what = f"cohort check of {len(crowd.names):,} slides"
    return shell.row(what, len(crowd.names), missed, told, f"{len(seen)} absent, all named")


def _embed(shell: _Shell, crowd: Crowd, said: _Said) -> Row:
    ways = Counter(crowd.broken.values())
    note = f"{len(crowd.broken)} broken in {len(ways)} of {len(WAYS)} ways; {said.seconds:.0f} s"
    what = f"embed {len(crowd.names):,} slides, 5 % broken"
    return shell.row(what, len(crowd.names), _wrong(shell, crowd, "features", said), said, note)


def _embed_again(shell: _Shell, crowd: Crowd, first: _Said) -> Row:
    files = sorted((shell.folder / "features").glob("*.h5"))
    before = {path: path.stat().st_mtime_ns for path in files}
    said = shell.run(*_embed_command(shell, crowd))
    changed = [path.name for path in files if path.stat().st_mtime_ns != before[path]]
    # What is kept of a slide that was cut off was told of when it was made.
    told = _Said(said.code, first.text + said.text, said.seconds)
    missed = [*changed, *_wrong(shell, crowd, "features", told)]
    what = f"embed again: {len(files):,} finished slides"
    return shell.row(what, len(files), missed, said, f"{said.seconds:.0f} s")


def _train(shell: _Shell, crowd: Crowd) -> Row:
    said = _trained(shell, crowd, "run", {"features.folder": str(shell.folder / "features")})
    missed = [
        name
        for name in read_left_out(shell.folder / "features")
        if f"Left out {name}: " not in said.text
    ]
    what = f"train on the features of {len(crowd.names):,} slides"
    note = f"left out with reasons: {said.text.count('Left out ')}; {said.seconds:.0f} s"
    return shell.row(what, len(crowd.names), missed, said, note)


def _train_on_pixels(shell: _Shell, crowd: Crowd) -> Row:
    said = _trained(shell, crowd, "pixels", _SMALL)
    run = shell.folder / "pixels"
    listed, used = read_left_out(run), _used(run) if said.is_clean else set()
    told = {name for name in listed if f"Left out {name}: {listed[name][:20]}" in said.text}
    told |= {name for name in used & set(crowd.broken) if _is_warned(name, said)}
    missed = (crowd.sound - used) | (set(crowd.broken) - told) | (set(listed) & crowd.sound)
    what = f"train on the pixels of {len(crowd.names):,} slides"
    note = f"left out with reasons: {len(listed)}; {said.seconds:.0f} s"
    return shell.row(what, len(crowd.names), missed, said, note)


def _trained(shell: _Shell, crowd: Crowd, run: str, changes: dict[str, str]) -> _Said:
    settings = [
        part for pair in (_TRAINING | changes).items() for part in ("--set", "=".join(pair))
    ]
    where = ("--cohort", str(crowd.table), "--run", str(shell.folder / run))
    return shell.run("train", *where, "--preset", "cpu-small", "--json", *settings)


def _used(run: Path) -> set[str]:
    """Return the slides that a training has learned from or has tested."""
    fitted: list[str] = json.loads((run / "fitted.json").read_text(encoding="utf-8"))["model"]
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        return {*fitted, *(row["slide_id"] for row in csv.DictReader(stream))}


def _predict(shell: _Shell, crowd: Crowd) -> Row:
    table = shell.folder / "features.csv"
    with table.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("slide_id", "features", "patient_id"))
        writer.writerows((name, f"features/{name}.h5", name) for name in crowd.names)
    out = str(shell.folder / "results")
    said = shell.run(
        "predict", str(shell.folder / "run"), "--cohort", str(table), "--out", out, "--json"
    )
    missed = _wrong(shell, crowd, "results", said)
    what = f"predict {len(crowd.names):,} slides"
    return shell.row(what, len(crowd.names), missed, said, f"{said.seconds:.0f} s")


def _embed_command(shell: _Shell, crowd: Crowd) -> tuple[str, ...]:
    out = str(shell.folder / "features")
    return ("embed", "--cohort", str(crowd.table), "--out", out, *_ENCODER, "--json")


def _wrong(shell: _Shell, crowd: Crowd, folder: str, said: _Said) -> set[str]:
    """Return sound slides without an output, and broken ones that nobody has told of."""
    out = shell.folder / folder
    made = {path.name.split(".")[0] for path in out.glob("[!.]*") if path.suffix != ".csv"}
    listed = {name for name, reason in read_left_out(out).items() if reason.strip()}
    # A slide that was cut off may have some tiles left: then it is used, with a warning.
    told = listed | {name for name in crowd.broken if name in made and _is_warned(name, said)}
    if folder == "results":
        told |= made & set(crowd.broken)
    return (crowd.sound - made) | (set(crowd.broken) - told) | (listed & crowd.sound)


def _is_warned(name: str, said: _Said) -> bool:
    """Tell whether a warning names a slide, alone or among those of which the same is so."""
    lines = (line for line in said.text.splitlines() if '"level":"warning"' in line)
    named = [line for line in lines if f"{name}.tif" in line]
    return any("is cut off" in line or "is damaged" in line for line in named)
