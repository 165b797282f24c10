"""``dre-slcl pseudonyms``: who is behind a pseudonym, for whoever holds the table."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("pseudonyms")(pseudonyms)


def pseudonyms(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Pseudonyms, or names that were given such; all by default."),
    ] = None,
) -> None:
    """Show which slides and patients are behind pseudonyms. What it prints names patients."""
    from napari_dre_slcl.cli.console import lines, say
    from napari_dre_slcl.cohort.private_names import known_names, names_table
    from napari_dre_slcl.errors import JobError

    known = known_names()
    wanted = set(names or [])
    found = [one for one in known if not wanted or wanted & {one.pseudonym, one.name}]
    missing = sorted(wanted - {text for one in found for text in (one.pseudonym, one.name)})
    for one in found:
        say(lines((part for part in (one.pseudonym, one.name, one.file) if part), "\t"))
    if missing:
        raise JobError(
            f"'{missing[0]}' is not in '{names_table()}', the table of pseudonyms of this machine. "
            "It may have been given on another machine, or under another key."
        )
    if not found:
        say("No slide or patient has a pseudonym yet.")
