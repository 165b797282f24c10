"""Every command that reads slides, tables or results, as users give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torture.private.commands import Command, Place
from torture.private.made_cohort import MadeCohort

__all__ = [
    "crash_commands",
    "export_command",
    "looking_commands",
    "shared_commands",
    "work_commands",
]

_TINY = (
    "training.epochs=1",
    "training.fresh_tiles=2",
    "training.slides_per_batch=4",
    "training.preflight=false",
    "encoder.name=test_vit",
    "encoder.input_px=32",
    "codebook.codewords=2",
    "codebook.refit_after_epoch=0",
)
_FORMATS = "geojson,ome-zarr,csv,parquet,png,html"


def looking_commands(slides: Sequence[Path], cohort: MadeCohort, place: Place) -> list[Command]:
    """Return commands that show slides to a user, who asks for no header."""
    table = ("cohort", "check", str(cohort.table))
    shown = [Command(place, "cohort", table, (0, 1, 2), is_loud=True)]
    for slide in slides:
        shown += [
            Command(place, name, (*words, str(slide), *options), (0, 2))
            for name, words, options in (
                ("info", ("info",), ()),
                ("info-json", ("info",), ("--json",)),
                ("tiles", ("tiles",), ("--mpp", "0.5")),
                ("associated", ("associated",), ()),
                ("mpp", ("mpp",), ()),
            )
        ]
    return shown


def work_commands(
    cohort: MadeCohort, place: Place, pinned: str, options: Sequence[str]
) -> list[Command]:
    """Return training, predictions, features, index and evaluation, in an order that works."""
    table, run, made = str(cohort.table), str(place.made / "run"), place.made
    work = {
        "train": ["train", "--run", run, *_common(cohort), "--pinned", pinned],
        "predict-cohort": ["predict", run, "--cohort", table, "--out", str(made / "p")],
        "predict-files": [
            *("predict", run, *map(str, cohort.kinds), str(cohort.broken)),
            *("--out", str(made / "files"), "--mpp", "0.5"),
        ],
        "predict-json": [
            *("predict", run, str(cohort.kinds[0]), "--json"),
            *("--out", str(made / "json"), "--mpp", "0.5"),
        ],
        "embed": ["embed", "--cohort", table, "--model", run, "--out", str(made / "h5")],
        "embed-folder": [
            *("embed", "--slides", str(cohort.broken.parent), "--model", run),
            *("--out", str(made / "h5-folder"), "--mpp", "0.5"),
        ],
        "vectors": ["embed-slides", run, "--cohort", table, "--out", str(made / "v" / "v.npz")],
        "index": ["index", run, "--cohort", table],
        "evaluate": [
            *("evaluate", "--out", str(made / "evaluation"), "--n-folds", "2"),
            *_common(cohort),
        ],
    }
    return [Command(place, name, (*words, *options)) for name, words in work.items()]


def shared_commands(cohort: MadeCohort, place: Place, options: Sequence[str]) -> list[Command]:
    """Return work that several processes share; the predictions need the run of `work_commands`."""
    table, made = str(cohort.table), place.made
    run, two = str(made / "run"), ("--workers", "2")
    work = {
        "train-two": ["train", "--run", str(made / "run-two"), *_common(cohort), "--devices", "2"],
        "embed-two": [
            *("embed", "--cohort", table, "--model", run, *two),
            *("--out", str(made / "h5-two"), "--part-tiles", "4"),
        ],
        "predict-two": ["predict", run, "--cohort", table, "--out", str(made / "p-two"), *two],
    }
    return [Command(place, name, (*words, *options)) for name, words in work.items()]


def export_command(
    results: Place, place: Place, out: str, options: Sequence[str], *, is_loud: bool = False
) -> Command:
    """Return the export of results to every format."""
    files = str(results.made / "p" / "*.npz")
    words = ("export", files, "--to", _FORMATS, "--out", str(place.made / out), *options)
    return Command(place, "export", words, is_loud=is_loud)


def crash_commands(cohort: MadeCohort, place: Place, quoted: str) -> list[Command]:
    """Return a job, and work that is none, which fail as nobody foresaw."""
    run = ("train", "--run", str(place.made / "run"), *_common(cohort))
    folds = ("evaluate", "--out", str(place.made / "evaluation"), "--n-folds", "2")
    return [
        Command(place, "train", run, (2,), quoted),
        Command(place, "evaluate", (*folds, *_common(cohort)), (1,), quoted),
    ]


def _common(cohort: MadeCohort) -> list[str]:
    settings = [part for pair in _TINY for part in ("--set", pair)]
    return ["--cohort", str(cohort.table), "--preset", "cpu-small", *settings]
