"""``dre-slcl cohort``: check a cohort table, or make one of a folder or from TCGA barcodes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["cohort_app"]

BAD_INPUT = 2


class Patients(StrEnum):
    """How ``from-folder`` tells whose a slide is."""

    BARCODE = "barcode"
    FOLDER = "folder"
    SLIDE = "slide"


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
    opens_files: Annotated[
        bool, typer.Option("--open", help="Open every slide, and look into every feature file.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Name all problems of a cohort table with their rows, and sum it up."""
    from napari_dre_slcl.cli.cohort_check import print_check

    if not print_check(table, features, as_json=json, opens_files=opens_files):
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


@cohort_app.command("from-folder")
def from_folder(
    folder: Annotated[Path, typer.Argument(help="Folder of slides or of feature files.")],
    out: Annotated[Path, typer.Option(help="Cohort table (CSV) to write.")],
    patients: Annotated[
        Patients,
        typer.Option(
            help="Whose a slide is: by its TCGA barcode, by the folder it lies in, or each slide "
            "of a patient of its own."
        ),
    ] = Patients.BARCODE,
) -> None:
    """List the slides of a folder as a cohort table, to be filled in with labels."""
    from napari_dre_slcl.cli.console import say
    from napari_dre_slcl.cohort.from_folder import table_of_folder
    from napari_dre_slcl.cohort.write_sheet import write_sheet

    made = table_of_folder(folder, patients.value)
    write_sheet(made.sheet, out)
    for note in made.notes:
        say(f"Note: {note}")
    say(f"Wrote {len(made.sheet.numbers):,} slides to {out}. Add a column for each label.")
