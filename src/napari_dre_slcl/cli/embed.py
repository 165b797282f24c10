"""``dre-slcl embed``: the tile features of a cohort, one file per slide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dre_slcl.cli.cluster_options import (
    PartTiles,
    Retries,
    Scheduler,
    SchedulerFile,
    Wait,
    WorkerCount,
    cluster_choice,
)
from napari_dre_slcl.cli.options import (
    AsJson,
    Device,
    Mpp,
    Overrides,
    Preset,
    Pseudonymize,
    PseudonymKey,
)

if TYPE_CHECKING:
    from napari_dre_slcl.jobs.messages import Result

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("embed")(embed)


def embed(
    out: Annotated[Path, typer.Option(help="Folder for the feature files, one per slide.")],
    cohort: Annotated[Path | None, typer.Option(help="Cohort table, one row per slide.")] = None,
    slides: Annotated[
        Path | None, typer.Option(help="Folder of slides, in the place of a table.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Run or model folder whose tile encoder is taken.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Tile encoder by name instead: timm's, or hf-hub:NAME.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of weights for --encoder, .safetensors or .pth.")
    ] = None,
    preset: Preset = "default",
    overrides: Overrides = None,
    mpp: Mpp = None,
    device: Device = "auto",
    scheduler: Scheduler = None,
    scheduler_file: SchedulerFile = None,
    workers: WorkerCount = None,
    wait: Wait = 60.0,
    retries: Retries = 2,
    part_tiles: PartTiles = 20_000,
    pseudonymize: Pseudonymize = False,
    pseudonym_key: PseudonymKey = None,
    json: AsJson = False,
) -> None:
    """Write the tile features of many slides, here or on a Dask cluster.

    Files that --out holds already are kept, so the same command goes on after a stop.
    """
    from napari_dre_slcl.cli.jobs import parse_overrides, run_to_end
    from napari_dre_slcl.jobs.messages import EmbedJob

    _check(cohort, slides, model, encoder, weights)
    changes = parse_overrides(overrides or [])
    if encoder is not None:
        changes["encoder.name"] = encoder
    if weights is not None:
        changes["encoder.weights"] = str(weights)
    job = EmbedJob(
        out=out,
        cohort=cohort,
        slides=slides,
        model=model,
        preset=preset,
        overrides=changes,
        mpp=mpp,
        device=device,
        part_tiles=part_tiles,
        cluster=cluster_choice(scheduler, scheduler_file, workers, wait, retries),
        pseudonymize=pseudonymize,
        pseudonym_key=pseudonym_key,
    )
    result = run_to_end(job, as_json=json)
    if not json:
        _tell(result, out)


def _check(
    cohort: Path | None,
    slides: Path | None,
    model: Path | None,
    encoder: str | None,
    weights: Path | None,
) -> None:
    """Refuse options that go with one another or with none."""
    if (cohort is None) == (slides is None):
        raise typer.BadParameter("give either --cohort or --slides")
    if (model is None) == (encoder is None):
        raise typer.BadParameter("give either --model or --encoder")
    if weights is not None and encoder is None:
        raise typer.BadParameter("--weights belong to an --encoder")


def _tell(result: Result, out: Path) -> None:
    """Say how many slides were embedded, and where the files are."""
    from napari_dre_slcl.cli.console import say

    done, kept = int(result.metrics["done"]), int(result.metrics["kept"])
    there = f"; {kept:,} were there already" if kept else ""
    left_out = f"; {len(result.skipped):,} left out" if result.skipped else ""
    say(f"{done:,} slides embedded, {int(result.metrics['tiles']):,} tiles{there}{left_out}.")
    say(f"Features: {out}")
