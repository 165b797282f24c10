"""``dre-slcl embed-slides``: slide vectors of a cohort in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_dre_slcl.cli.options import Device, Pseudonymize, PseudonymKey

__all__ = ["register"]

_CANCELLED = 130


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("embed-slides")(embed_slides)


def embed_slides(
    run: Annotated[Path, typer.Argument(help="Run folder, or the model folder in it.")],
    cohort: Annotated[Path, typer.Option(help="Cohort table, one row per slide.")],
    out: Annotated[Path, typer.Option(help="File to write, ending in .npz.")],
    features: Annotated[
        Path | None,
        typer.Option(help="Folder of feature files; those of the table or the run by default."),
    ] = None,
    device: Device = "auto",
    pseudonymize: Pseudonymize = False,
    pseudonym_key: PseudonymKey = None,
) -> None:
    """Write the slide vectors of a cohort, by a model of any method: ids and X in an .npz file."""
    from napari_dre_slcl.cli.console import say, status
    from napari_dre_slcl.cli.progress import show_events
    from napari_dre_slcl.engine.embed_slides import EmbedRequest
    from napari_dre_slcl.engine.embed_slides import embed_slides as embed
    from napari_dre_slcl.engine.reporter import Reporter, Stopped
    from napari_dre_slcl.jobs.requests import Requests, obey_signals

    if pseudonymize:
        from napari_dre_slcl.cohort.private_table import private_features, private_table
        from napari_dre_slcl.cohort.pseudonyms import load_pseudonyms

        names = load_pseudonyms(pseudonym_key)
        features = None if features is None else private_features(cohort, features, names)
        cohort = private_table(cohort, names)
    request = EmbedRequest(run, cohort, out, features, device)
    requests = Requests()
    try:
        with show_events(as_json=False) as on_event, obey_signals(requests):
            done = embed(request, Reporter(on_event, requests.should_stop, requests.should_pause))
    except Stopped:
        status().print("Cancelled. Nothing was written.", soft_wrap=True)
        raise typer.Exit(_CANCELLED) from None
    for slide_id, reason in done.skipped.items():
        status().print(f"Left out {slide_id}: {reason}", soft_wrap=True)
    say(f"{done.shape[0]:,} slide vectors of width {done.shape[1]:,}: {done.path}")
