"""``dre-slcl doctor``: looks the installation over and says how to mend what is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from napari_dre_slcl.cli.console import output, print_json, say, status

__all__ = ["register"]

_STYLES = {"ok": "", "warning": "yellow", "problem": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the command ``doctor`` to an application."""
    app.command()(doctor)


def doctor(
    folder: Annotated[Path, typer.Option(help="Where your runs and results are to go.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per thing.")] = False,
) -> None:
    """Look the installation over: what is wrong, and how to mend it."""
    from napari_dre_slcl.doctor import examine
    from napari_dre_slcl.doctor.finding import summary, text_lines

    with status().status("Looking at the installation ..."):
        found = examine(folder)
    if as_json:
        for one in found:
            print_json(json.dumps(asdict(one)))
    else:
        for state, line in text_lines(found):
            output().print(line, style=_STYLES[state], soft_wrap=True)
        say(summary(found))
    if any(one.state == "problem" for one in found):
        raise typer.Exit(1)
