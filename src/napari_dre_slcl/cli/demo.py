"""``dre-slcl demo``: the whole path on generated slides, ending in a napari window and one page."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import typer

from napari_dre_slcl.atomic_file import move
from napari_dre_slcl.cli.console import lines, say
from napari_dre_slcl.cli.jobs import run_to_end
from napari_dre_slcl.cli.summary import DemoOutcome, attention_sentence, write_summary
from napari_dre_slcl.cli.synth import generate
from napari_dre_slcl.cli.tables import TEST_AUC, print_predictions, print_training
from napari_dre_slcl.cli.window import open_window, save_screenshot
from napari_dre_slcl.engine_extra import require_engine
from napari_dre_slcl.errors import CohortError, DreSlclError, JobError
from napari_dre_slcl.jobs.messages import PredictJob, Result, TrainJob
from napari_dre_slcl.results import load_result

__all__ = ["GOOD_AUC", "DemoPlan", "run_demo"]

GOOD_AUC = 0.9
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """How large the demonstration is.

    Parameters
    ----------
    n_slides : int
        Slides to generate.
    side_px : int
        Edge of a slide in level-0 pixels.
    overrides : mapping of str
        Settings that differ from the preset ``cpu-small``.
    """

    n_slides: int = 48
    side_px: int = 4096
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Clock:
    """Announces stages and notes how long each took."""

    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, stage: str, work: Callable[[], _T]) -> _T:
        say(lines(["", f"== {stage}"]))
        start = time.perf_counter()
        outcome = work()
        self.seconds[stage] = time.perf_counter() - start
        say(f"{stage}: {self.seconds[stage]:.0f} s")
        return outcome


def run_demo(out: Path, plan: DemoPlan, should_open_window: bool) -> bool:
    """Generate, train, evaluate, predict and show.

    Parameters
    ----------
    out : Path
        Folder for the cohort, the run, the result, the screenshot and the summary.
    plan : DemoPlan
        How large it is.
    should_open_window : bool
        Open napari at the end where there is a display.

    Returns
    -------
    bool
        Whether every held-out AUC reached `GOOD_AUC`.

    Raises
    ------
    DreSlclError
        If a part of the path fails.
    """
    require_engine()
    clock = _Clock()
    table = clock.run("Generate slides", lambda: _cohort(out / "cohort", plan))
    trained = clock.run("Train and evaluate", lambda: _train(table, out / "run", plan))
    print_training(trained)
    row = _held_out_cancer_slide(table)
    slide = table.parent / row["slide"]
    predicted = clock.run(
        "Predict a held-out slide", lambda: _predict(trained, slide, out / "result")
    )
    print_predictions(predicted)
    result_file = next(iter(predicted.paths.values()))
    say(attention_sentence(load_result(result_file), table))
    picture = out / "window.png"
    model = trained.paths["model"]
    clock.run("Show it in napari", lambda: save_screenshot(slide, result_file, model, picture))
    aucs = _held_out_aucs(trained)
    outcome = DemoOutcome(table, row, aucs, result_file, picture, trained.paths, clock.seconds)
    page = write_summary(outcome, out / "summary.html")
    say(lines(["", f"Picture: {picture}", f"Summary: {page}"]))
    if should_open_window:
        open_window(slide, result_file, model)
    return _report(aucs)


def _cohort(folder: Path, plan: DemoPlan) -> Path:
    table = folder / "cohort.csv"
    if _is_whole(table, plan.n_slides):
        say(f"The {plan.n_slides} slides in {folder} are there already and are used again.")
        return table
    if folder.exists():
        raise CohortError(
            f"The folder '{folder}' exists and is not the built-in cohort of {plan.n_slides} "
            "slides. Delete it or give another folder with --out."
        )
    return generate(folder, n_slides=plan.n_slides, seed=0, side_px=plan.side_px)


def _is_whole(table: Path, n_slides: int) -> bool:
    if not table.is_file():
        return False
    rows = _read_rows(table)
    return (
        len(rows) == n_slides
        and table.with_name("tumour_tiles.csv").is_file()
        and {"slide", "split", "subtype", "cancer", "TP53"} <= set(rows[0])
        and all((table.parent / row["slide"]).is_file() for row in rows)
    )


def _read_rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def _train(table: Path, run_dir: Path, plan: DemoPlan) -> Result:
    """Train into ``run_dir``; the run of an earlier demonstration stays until this one is whole."""
    previous = run_dir.with_name(run_dir.name + ".previous")
    if run_dir.exists():
        if not (run_dir / "job.json").is_file():
            raise JobError(
                f"The folder '{run_dir}' is no run folder. Move it away or give another folder "
                "with --out."
            )
        shutil.rmtree(previous, ignore_errors=True)
        move(run_dir, previous)
    job = TrainJob(
        cohort=table, run_dir=run_dir, preset="cpu-small", overrides=dict(plan.overrides)
    )
    try:
        result = run_to_end(job, as_json=False)
    except (DreSlclError, typer.Exit):
        if previous.exists() and not run_dir.exists():
            move(previous, run_dir)
        raise
    shutil.rmtree(previous, ignore_errors=True)
    return result


def _held_out_cancer_slide(table: Path) -> dict[str, str]:
    """Return the first held-out cancer slide with a mutation, so that every answer has a cue."""
    for row in _read_rows(table):
        if row["split"] == "test" and row["TP53"] == "1":
            return row
    raise CohortError(
        f"The cohort table '{table}' holds out no mutated cancer slide. Delete its folder."
    )


def _predict(trained: Result, slide: Path, out: Path) -> Result:
    job = PredictJob(model=trained.paths["model"], slides=(slide,), out=out)
    return run_to_end(job, as_json=False)


def _held_out_aucs(trained: Result) -> dict[str, float]:
    aucs = {
        name.removeprefix(TEST_AUC): value
        for name, value in trained.metrics.items()
        if name.startswith(TEST_AUC)
    }
    if not aucs:
        raise JobError("The training gave no AUC on held-out patients.")
    return aucs


def _report(aucs: dict[str, float]) -> bool:
    say("")
    say("Held-out AUC: " + ", ".join(f"{task} {auc:.3f}" for task, auc in aucs.items()))
    weak = [task for task, auc in aucs.items() if not auc >= GOOD_AUC]
    if weak:
        say(f"Below {GOOD_AUC}: {', '.join(weak)}. The demonstration should reach it; see the run.")
    return not weak
