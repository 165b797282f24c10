"""What is killed: the command lines, and what of theirs is finished once it is there."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_dre_slcl.cohort.synthetic import generate_cohort

__all__ = ["Work", "all_works", "make_cohort"]

_ENCODER = {"encoder.name": "test_resnet", "encoder.input_px": "32"}
# Every stage that a training can have, with random numbers in each that has any.
_TRAINING = {
    "cohort.tasks": "grade",
    "cohort.val_fraction": "0.3",
    **_ENCODER,  # with batch normalisation, whose figures go on as well
    "encoder.channels_last": "true",
    "codebook.codewords": "3",
    "codebook.refit_after_epoch": "1",
    "residual.dropout": "0.1",
    "pretrain.epochs": "1",
    "pretrain.tiles_per_batch": "16",
    "training.epochs": "4",
    "training.slides_per_batch": "2",
    "training.fresh_tiles": "3",
    "training.bank_tiles": "none",
    "training.augment": "true",
    "training.encode_chunk": "4",
    "training.refill_every_epochs": "2",
    "training.refresh_stalest": "0.2",
    "training.ema": "0.9",
    "training.patience": "3",
    "training.checkpoint_steps": "1",
    "training.preflight": "false",
    "training.device": "cpu",
}
_SLIDE_PX = 1024

Finished = Callable[[Path], Iterator[Path]]


@dataclass(frozen=True, slots=True)
class Work:
    """A command line that writes into a folder.

    Parameters
    ----------
    name : str
        Of the command.
    argv : tuple of str
        Arguments that begin it, the folder in them.
    out : Path
        The folder.
    finished : callable
        Returns the files of it that nothing may change any more.
    module : str
        What does it.
    share : float
        Of all kills.
    has_begun : callable
        Whether the next start has something to go on with, and should say so.
    again : tuple of str
        Arguments of the next start where something has begun; by default the same.
    has_ended : callable
        Whether it was killed when all was done and nothing tells of it any more: begun again, it
        would rightly do all anew.
    victims : tuple of str
        Words in the command line of what is killed; empty for the command's first process.
    """

    name: str
    argv: tuple[str, ...]
    out: Path
    finished: Finished
    module: str
    share: float
    has_begun: Callable[[Path], bool]
    again: tuple[str, ...] = ()
    has_ended: Callable[[Path], bool] = lambda out: False
    victims: tuple[str, ...] = ("",)

    def next_argv(self) -> list[str]:
        """Return the arguments of the next start."""
        return list(self.again if self.again and self.has_begun(self.out) else self.argv)


def make_cohort(folder: Path, n_slides: int) -> Path:
    """Generate slides, and a table of them whose labels alternate and whose split is left open."""
    table = generate_cohort(folder, n_slides=n_slides, side_px=_SLIDE_PX)
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    path = folder / "graded.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["slide_id", "slide", "patient_id", "grade", "report"])
        for number, row in enumerate(rows):
            grade = "low" if number % 2 else "high"
            kept = (row["slide_id"], row["slide"], row["patient_id"], grade, row["report"])
            writer.writerow(kept)
    return path


def all_works(cohort: Path, model: Path, results: Path, folder: Path) -> list[Work]:
    """Return all commands that are killed.

    Parameters
    ----------
    cohort : Path
        As of `make_cohort`.
    model : Path
        A run folder, which the training makes.
    results : Path
        A folder of results, which the prediction makes.
    folder : Path
        Below it they work.
    """
    table = ("--cohort", str(cohort))

    def to(name: str) -> tuple[str, ...]:
        return ("--out", str(folder / name))

    run = str(folder / "train")
    formats = ("--to", "geojson,csv,html,ome-zarr", "--identifiers")
    return [
        Work(
            "train",
            ("train", *table, "--run", run, "--preset", "cpu-small", *_set(_TRAINING), "--json"),
            folder / "train",
            _matching("model/*", "results/[!.]*.npz"),
            "engine.train",
            1 / 3,
            lambda out: (out / "config.toml").is_file(),
            again=("resume", run, "--json"),
        ),
        Work(
            "embed",
            ("embed", *table, *to("embed"), "--preset", "cpu-small", *_by_name(), "--json"),
            folder / "embed",
            _matching("[!.]*.h5"),
            "engine.embed_cohort",
            1 / 6,
            _any("[!.]*.h5"),
        ),
        Work(
            "predict",
            ("predict", str(model), *table, *to("predict"), "--json"),
            folder / "predict",
            _matching("[!.]*.npz"),
            "engine.predict",
            1 / 6,
            _any("[!.]*.npz"),
        ),
        Work(
            "export",
            ("export", *_results(results, cohort), *formats, *to("export")),
            folder / "export",
            _exported,
            "export.export_slide",
            1 / 6,
            _any("[!.]*"),
            has_ended=lambda out: any(out.iterdir()) and not any(out.glob(".*")),
        ),
        Work(
            "index",
            ("index", str(model), *table, *to("index"), "--json"),
            folder / "index",
            _matching("results/[!.]*.npz", "shards/[!.]*/*", "index.json"),
            "engine.build_index",
            1 / 12,
            _any("results/[!.]*.npz"),
        ),
        Work(
            "evaluate",
            (
                *("evaluate", *table, *to("evaluate"), "--preset", "cpu-small"),
                *("--method", "mean-pool", "--tasks", "grade", "--n-folds", "2", "--seeds", "2"),
                *_set(_ENCODER | {"training.preflight": "false"}),
            ),
            folder / "evaluate",
            _finished_cells,
            "engine.evaluation",
            1 / 12,
            _any("cells/*/cell.json"),
        ),
        *_of_several_processes(table, folder),
    ]


def _of_several_processes(table: tuple[str, ...], folder: Path) -> list[Work]:
    """Return the commands of which one process is killed, not always the first."""
    run, out = folder / "train-2", folder / "embed-2"
    settings = _TRAINING | {"pretrain.epochs": "0", "training.epochs": "3"}
    return [
        Work(
            "train by two processes",
            (
                *("train", *table, "--run", str(run), "--preset", "cpu-small", "--devices", "2"),
                *(*_set(settings), "--json"),
            ),
            run,
            _matching("model/*", "results/[!.]*.npz"),
            "engine.train",
            1 / 30,
            lambda place: (place / "config.toml").is_file(),
            again=("resume", str(run), "--json"),
            victims=("", "engine.rank"),
        ),
        Work(
            "embed by two workers",
            (
                *("embed", *table, "--out", str(out), "--preset", "cpu-small", *_by_name()),
                *("--workers", "2", "--json"),
            ),
            out,
            _matching("[!.]*.h5"),
            "engine.embed_cohort",
            1 / 30,
            _any("[!.]*.h5"),
            victims=("spawn_main",),
        ),
    ]


def _set(settings: dict[str, str]) -> tuple[str, ...]:
    return tuple(part for name, value in settings.items() for part in ("--set", f"{name}={value}"))


def _by_name() -> tuple[str, ...]:
    return ("--encoder", _ENCODER["encoder.name"], "--set", "encoder.input_px=32")


def _results(folder: Path, cohort: Path) -> tuple[str, ...]:
    with cohort.open(newline="", encoding="utf-8") as stream:
        names = [row["slide_id"] for row in csv.DictReader(stream)]
    return tuple(str(folder / f"{name}.dreslcl.npz") for name in names)


def _matching(*patterns: str) -> Finished:
    """Return what finds files that are whole as soon as they bear their name."""

    def find(out: Path) -> Iterator[Path]:
        for pattern in patterns:
            yield from (path for path in out.glob(pattern) if path.is_file())

    return find


def _any(pattern: str) -> Callable[[Path], bool]:
    return lambda out: any(out.glob(pattern))


def _exported(out: Path) -> Iterator[Path]:
    """Return exported files, and those in folders that bear their name."""
    for path in out.glob("[!.]*"):
        yield from _files(path) if path.is_dir() else (path,)


def _finished_cells(out: Path) -> Iterator[Path]:
    """Return all files of the cells that have their record, the last that is written."""
    for record in out.glob("cells/*/cell.json"):
        yield from _files(record.parent)


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)
