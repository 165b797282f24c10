"""``dre-slcl convert-features``: features of slides in TRIDENT's or CLAM's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("convert-features")(convert_features)


def convert_features(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Feature files (.h5), CLAM's .pt files, results with features, stores of "
            "LazySlide or wsidata (.zarr), or folders of these."
        ),
    ],
    to: Annotated[str, typer.Option(help="trident or clam.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    coords: Annotated[
        Path | None,
        typer.Option(
            help="Folder of coordinate files, such as CLAM's patches, for sources without places."
        ),
    ] = None,
    table: Annotated[
        str, typer.Option(help="Table of a store, such as uni_tiles, where it has several.")
    ] = "",
) -> None:
    """Write the features of slides as TRIDENT or CLAM does, one file per slide.

    What is written can be trained on here and there. Files of the same name are replaced.
    """
    from napari_dre_slcl.cli.console import say, status
    from napari_dre_slcl.cli.progress import show_events
    from napari_dre_slcl.engine.convert_features import convert_features as convert
    from napari_dre_slcl.jobs.messages import Progress

    with show_events(as_json=False) as on_event:
        done = convert(
            sources,
            to,
            out,
            coords,
            table,
            lambda n, total, name: on_event(
                Progress(stage="Converting", done=n, total=total, message=name)
            ),
        )
    for name, reason in done.skipped.items():
        status().print(f"Left out {name}: {reason}", soft_wrap=True)
    left_out = f", {len(done.skipped):,} left out" if done.skipped else ""
    say(f"{len(done.written):,} slides written{left_out}: {out}")
