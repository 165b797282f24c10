"""Lists the runs that this user has started, as the window does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from napari_dre_slcl.cli.console import output, print_json, say

if TYPE_CHECKING:
    from napari_dre_slcl.jobs.run_summary import RunSummary

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command ``runs`` to an application."""
    app.command()(runs)


def runs(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Run folders to look at; by default all that are on the list."),
    ] = None,
    add: Annotated[
        list[Path] | None, typer.Option(help="Put a run folder on the list, e.g. a copied one.")
    ] = None,
    forget: Annotated[
        list[Path] | None,
        typer.Option(help="Take a run off the list; its files stay where they are."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per run.")] = False,
) -> None:
    """Show the runs that you have started: where each stands, how far it is, its figures."""
    from napari_dre_slcl.errors import JobError
    from napari_dre_slcl.jobs.known_runs import forget_run, known_runs, remember_run
    from napari_dre_slcl.jobs.run_summary import summarise_run

    for run_dir in forget or ():
        forget_run(run_dir)
    for run_dir in add or ():
        if not run_dir.is_dir():
            raise JobError(f"There is no run folder '{run_dir}'. Give the folder of a run.")
        remember_run(run_dir)
    found = [summarise_run(run_dir) for run_dir in folders or known_runs()]
    if as_json:
        for run in found:
            print_json(json.dumps(_facts(run)))
    elif found:
        _print(found)
    else:
        say("No runs yet. Start one with 'dre-slcl train', or in the window.")


def _print(found: list[RunSummary]) -> None:
    from napari_dre_slcl.jobs.run_summary import age_text, state_text

    table = Table("Run", "State", "Last heard", "Method", "Figures")
    for run in found:
        table.add_row(
            str(run.run_dir), state_text(run), age_text(run.heard), run.method, _figures_text(run)
        )
    output().print(table)


def _figures_text(run: RunSummary) -> str:
    figures = run.test or {
        name: value for name, value in run.figures.items() if name.startswith(("loss", "val/"))
    }
    return "  ".join(f"{name} {value:.3f}" for name, value in figures.items())


def _facts(run: RunSummary) -> dict[str, object]:
    return {
        "run": str(run.run_dir),
        "state": run.state,
        "is_resumable": run.status.is_resumable,
        "message": run.status.message,
        "host": run.status.host,
        "held_by": str(run.status.holder) if run.status.holder else None,
        "heard": run.heard.isoformat() if run.heard else None,
        "method": run.method,
        "preset": run.preset,
        "cohort": run.cohort,
        "stage": run.stage,
        "done": run.done,
        "total": run.total,
        "figures": run.figures,
        "test": run.test,
        "model": str(run.model) if run.model else None,
    }
