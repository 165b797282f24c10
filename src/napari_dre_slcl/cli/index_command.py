"""``dre-slcl index`` and ``dre-slcl codewords``: a searchable cohort, and names in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_dre_slcl.cli.options import AsJson, Device, Pseudonymize, PseudonymKey
from napari_dre_slcl.errors import ConfigError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("index")(index)
    app.command("codewords")(codewords)


def index(
    run: Annotated[Path, typer.Argument(help="Run folder, or the model folder in it.")],
    cohort: Annotated[Path, typer.Option(help="Cohort table, one row per slide.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the index; RUN/index by default.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Folder of feature files; those of the table or the run by default."),
    ] = None,
    device: Device = "auto",
    pseudonymize: Pseudonymize = False,
    pseudonym_key: PseudonymKey = None,
    json: AsJson = False,
) -> None:
    """Predict every slide of a cohort and make its tiles and slides searchable in the window."""
    from napari_dre_slcl.cli.console import say
    from napari_dre_slcl.cli.jobs import run_to_end
    from napari_dre_slcl.insight.tile_index import default_index_folder
    from napari_dre_slcl.jobs.messages import IndexJob

    target = out or default_index_folder(run)
    job = IndexJob(
        model=run,
        cohort=cohort,
        out=target,
        features=features,
        device=device,
        pseudonymize=pseudonymize,
        pseudonym_key=pseudonym_key,
    )
    result = run_to_end(job, as_json=json)
    if not json:
        n_slides, n_tiles = (int(result.metrics[name]) for name in ("slides", "tiles"))
        say(f"{n_tiles:,} tiles of {n_slides:,} slides are searchable: {result.paths['index']}")


def codewords(
    run: Annotated[Path, typer.Argument(help="Run folder, or the model folder in it.")],
    name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER=NAME", help="Name a codeword, such as 3=lymphocytes; may be repeated."
        ),
    ] = None,
) -> None:
    """Show the codewords of a model, or name some of them."""
    from napari_dre_slcl.cli.console import say
    from napari_dre_slcl.insight.codeword_names import read_names, write_names

    given = _parse_names(name or [])
    names = write_names(run, given) if given else read_names(run)
    if not names:
        say("The method of this model has no codewords.")
    for number, text in enumerate(names, start=1):
        say(f"{number}: {text}")


def _parse_names(pairs: list[str]) -> dict[int, str]:
    """Return names by number of the codeword from 0; the user counts from 1."""
    names = {}
    for pair in pairs:
        number, sign, text = pair.partition("=")
        if not sign or not number.strip().isdecimal():
            raise ConfigError(f"--name '{pair}' is no NUMBER=NAME. Write --name 3=lymphocytes.")
        names[int(number) - 1] = text
    return names
