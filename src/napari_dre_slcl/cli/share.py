"""``dre-slcl share``: a model as a folder that a hub of models takes, with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("share")(share)


def share(
    model: Annotated[Path, typer.Argument(help="Run folder, or the model folder in it.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    licence: Annotated[
        str,
        typer.Option(
            "--license", help="Licence as the hub names it, such as cc-by-4.0, mit or other."
        ),
    ],
    name: Annotated[str, typer.Option(help="What the model is called; the folder's name.")] = "",
    tags: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag more; may be repeated.")
    ] = None,
    with_words: Annotated[
        bool,
        typer.Option("--with-words", help="Take the words of the training reports along."),
    ] = False,
) -> None:
    """Copy a model into a folder to upload, with a card and without paths of this machine.

    Nothing is uploaded. Words of the training reports stay out unless --with-words is given.
    """
    from napari_dre_slcl.cli.console import say
    from napari_dre_slcl.engine_extra import engine_needed

    with engine_needed():
        from napari_dre_slcl.engine.share_model import share_model

    folder = share_model(model, out, licence, name or out.name, tuple(tags or ()), with_words)
    say(f"Model to share: {folder}")
    say("Read its README.md, and upload the folder: hf upload OWNER/NAME " + str(folder))
