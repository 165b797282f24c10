"""``dre-slcl cohort``: check a cohort table, or make one from TCGA barcodes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["cohort_app"]

BAD_INPUT = 2

cohort_app = typer.Typer(
    name="cohort", help="Check a cohort table, or fill one in.", no_args_is_help=True
)


@cohort_app.command()
def check(
    table: Annotated[
        Path, typer.Argument(help="Cohort table: CSV, TSV, Excel (.xlsx) or Parquet.")
    ],
    features: Annotated[
        Path | None, typer.Option(help="Folder of feature files that stand for the slides.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Name all problems of a cohort table with their rows, and sum it up."""
    from napari_dre_slcl.cli.cohort_check import print_check

    if not print_check(table, features, as_json=json):
        raise typer.Exit(BAD_INPUT)


@cohort_app.command()
def tcga(
    source: Annotated[
        Path,
        typer.Argument(help="Table with TCGA barcodes, or folder of slides or feature files."),
    ],
    out: Annotated[Path, typer.Option(help="Cohort table (CSV) to write.")],
    sites: Annotated[
        Path | None,
        typer.Option(help="Table of hospitals with the columns tss and site."),
    ] = None,
) -> None:
    """Fill patient and site in from TCGA barcodes."""
    from napari_dre_slcl.cli.console import say
    from napari_dre_slcl.cohort.tcga import read_site_names
    from napari_dre_slcl.cohort.tcga_table import write_tcga_table

    names = None if sites is None else read_site_names(sites)
    filled = write_tcga_table(source, out, names)
    for note in filled.notes:
        say(f"Note: {note}")
    say(
        f"Wrote {filled.n_slides:,} slides of {filled.n_patients:,} patients from "
        f"{filled.n_sites:,} sites to {out}"
    )
