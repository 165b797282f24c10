"""The commands ``evaluate`` and ``compare``: their options; what they print is beside this."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_dre_slcl.cli.options import Overrides, Preset, Pseudonymize, PseudonymKey
from napari_dre_slcl.errors import ConfigError

__all__ = ["register"]

_CANCELLED = 130

_Within = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="Only such slides; may be repeated."),
]
_AllowShared = Annotated[
    bool,
    typer.Option(
        "--allow-shared-patients",
        help="Report patients on both sides of published splits, do not refuse them.",
    ),
]

_Features = Annotated[
    Path | None, typer.Option(help="Folder of feature files, in the place of slides.")
]


def register(app: typer.Typer) -> None:
    """Add both commands to the command line."""
    app.command()(evaluate)
    app.command()(compare)


def evaluate(
    cohort: Annotated[Path, typer.Option(help="Cohort table, one row per slide.")],
    out: Annotated[Path, typer.Option(help="Folder of the evaluation; made, or gone on with.")],
    method: Annotated[
        str, typer.Option(help="dre-slcl, attention-mil, mean-pool, giga-ssl or slpd.")
    ] = "dre-slcl",
    folds: Annotated[
        str, typer.Option(help="patient, site, or a folder of published split files.")
    ] = "patient",
    tasks: Annotated[
        str, typer.Option(help="Label columns, with commas; empty guesses them.")
    ] = "",
    seeds: Annotated[
        int, typer.Option(min=1, help="How often all folds are done, each with its own seed.")
    ] = 1,
    n_folds: Annotated[int, typer.Option(min=2, help="Number of folds that are drawn.")] = 5,
    validation: Annotated[
        float, typer.Option(min=0, max=0.5, help="Share of training patients that validate.")
    ] = 0.1,
    within: _Within = None,
    features: _Features = None,
    preset: Preset = "default",
    overrides: Overrides = None,
    allow_shared_patients: _AllowShared = False,
    pseudonymize: Pseudonymize = False,
    pseudonym_key: PseudonymKey = None,
) -> None:
    """Train and test one method over folds and seeds: figures, predictions and a page.

    The same command goes on with an evaluation that was broken off.
    """
    from napari_dre_slcl.cli.evaluation import run_and_print
    from napari_dre_slcl.cli.jobs import parse_overrides
    from napari_dre_slcl.engine.evaluation_request import EvaluationRequest

    changes: dict[str, object] = dict(parse_overrides(overrides or []))
    if features is not None:
        changes["features.folder"] = str(features)
    if pseudonymize:
        from napari_dre_slcl.jobs.private_job import private_evaluation

        wanted = {*tasks.replace(" ", "").split(","), *_columns(within or [])}
        cohort, folds, changes = private_evaluation(cohort, folds, changes, wanted, pseudonym_key)
    request = EvaluationRequest(
        cohort=cohort,
        out=out,
        method=method,
        folds=folds,
        tasks=tuple(task.strip() for task in tasks.split(",") if task.strip()),
        seeds=seeds,
        n_folds=n_folds,
        validation=validation,
        within=_columns(within or []),
        preset=preset,
        overrides=changes,
        allow_shared_patients=allow_shared_patients,
    )
    if not run_and_print(request):
        raise typer.Exit(_CANCELLED)


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of evaluations, two or more.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for compare.json and compare.html.")
    ] = None,
) -> None:
    """Put evaluations side by side: the first is tested against each other one, fold by fold."""
    from napari_dre_slcl.cli.evaluation import compare_and_print

    compare_and_print(runs, out)


def _columns(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ConfigError(f"--within '{pair}' is no COLUMN=VALUE. Write --within subtype=LUAD.")
        if name.strip() in found:
            raise ConfigError(
                f"--within names the column '{name.strip()}' twice, and a slide has one value "
                "there. Name each column once."
            )
        found[name.strip()] = value.strip()
    return found
