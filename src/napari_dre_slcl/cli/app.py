"""The subcommands and their options; what they do lives in the modules beside this one."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from napari_dre_slcl import __version__
from napari_dre_slcl.cli.cluster_options import (
    PartTiles,
    Retries,
    Scheduler,
    SchedulerFile,
    Wait,
    WorkerCount,
    cluster_choice,
)
from napari_dre_slcl.cli.cohort_commands import cohort_app
from napari_dre_slcl.cli.console import say_error
from napari_dre_slcl.cli.crash_hook import tell_crash
from napari_dre_slcl.cli.doctor import register as register_doctor
from napari_dre_slcl.cli.embed import register as register_embed
from napari_dre_slcl.cli.embed_slides import register as register_embed_slides
from napari_dre_slcl.cli.evaluation_commands import register as register_evaluation
from napari_dre_slcl.cli.export_command import register as register_export
from napari_dre_slcl.cli.index_command import register as register_index
from napari_dre_slcl.cli.options import (
    AsJson,
    Device,
    Mpp,
    Overrides,
    Preset,
    Pseudonymize,
    PseudonymKey,
)
from napari_dre_slcl.cli.plan import register as register_plan
from napari_dre_slcl.cli.pseudonyms_command import register as register_pseudonyms
from napari_dre_slcl.cli.runs_command import register as register_runs
from napari_dre_slcl.engine_extra import engine_needed
from napari_dre_slcl.errors import DreSlclError
from napari_dre_slcl.trial.proof import start_early

__all__ = ["app", "main"]

_Method = Annotated[
    str | None,
    typer.Option(help="dre-slcl (default), attention-mil, mean-pool, giga-ssl or slpd."),
]
_Pinned = Annotated[
    str | None,
    typer.Option(
        metavar="SLIDE_ID",
        help="Write the result of this slide anew after each epoch, to look at meanwhile.",
    ),
]

BAD_INPUT = 2

app = typer.Typer(
    name="dre-slcl",
    help="Train whole-slide image models from slide labels and reports, and predict with them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cohort_app)
_command_of = cache(typer.main.get_command)  # it takes 30 ms each time


def main(argv: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 for success, 1 for a demonstration that fell short, 2 for bad input, 130 for Ctrl-C.
    """
    start_early(sys.argv[1:] if argv is None else argv)
    sys.excepthook = tell_crash
    try:
        # Calling the app itself would bring typer's own hook, which shows texts of errors.
        with engine_needed():
            _command_of(app)(args=argv, prog_name="dre-slcl")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except DreSlclError as error:
        say_error(str(error))
        return BAD_INPUT
    except OSError as error:
        if error.filename is None:
            raise
        say_error(f"'{error.filename}' cannot be used: {error.strerror}.")
        return BAD_INPUT
    return 0


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"dre-slcl {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@app.command()
def train(
    cohort: Annotated[Path, typer.Option(help="Cohort table (CSV), one row per slide.")],
    run: Annotated[Path, typer.Option(help="Run folder to create.")],
    method: _Method = None,
    preset: Preset = "default",
    overrides: Overrides = None,
    pretrain: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Train the tile encoder for N epochs without labels first; pretrain.epochs.",
        ),
    ] = None,
    devices: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes per machine, one per GPU or CPU ones."),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, metavar="M", help="Machines, each with so many processes.")
    ] = None,
    pinned: _Pinned = None,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Only say how long it takes and what it needs."),
    ] = False,
    pseudonymize: Pseudonymize = False,
    pseudonym_key: PseudonymKey = None,
    json: AsJson = False,
) -> None:
    """Train a model on a cohort and evaluate it on held-out patients."""
    from napari_dre_slcl.cli.estimate import estimate_training
    from napari_dre_slcl.cli.jobs import parse_overrides, run_to_end
    from napari_dre_slcl.cli.tables import print_training
    from napari_dre_slcl.jobs.messages import TrainJob

    options = {
        "method": method,
        "pretrain.epochs": pretrain,
        "training.devices": devices,
        "training.nodes": nodes,
    }
    changes = parse_overrides(overrides or [])
    changes |= {name: str(value) for name, value in options.items() if value is not None}
    job = TrainJob(
        cohort=cohort,
        run_dir=run,
        preset=preset,
        overrides=changes,
        pinned=pinned,
        pseudonymize=pseudonymize,
        pseudonym_key=pseudonym_key,
    )
    if estimate:
        estimate_training(job, as_json=json)
        return
    result = run_to_end(job, as_json=json)
    if not json:
        print_training(result)


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(help="Run folder of the training.")],
    devices: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes per machine from here on."),
    ] = None,
    nodes: Annotated[
        int | None, typer.Option(min=1, metavar="M", help="Machines from here on.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Go on with a training that was killed, cancelled or stopped by an error."""
    from napari_dre_slcl.cli.resume import resume_run

    resume_run(run, devices, nodes, as_json=json)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Model folder, or a run folder that holds one.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    slides: Annotated[
        list[Path] | None,
        typer.Argument(help="Slide files or DICOM folders; feature files for a model of these."),
    ] = None,
    cohort: Annotated[
        Path | None, typer.Option(help="Cohort table, in the place of slide files.")
    ] = None,
    mpp: Mpp = None,
    mask: Annotated[
        Path | None, typer.Option(help="Tissue mask of the one slide, as saved in the window.")
    ] = None,
    min_tissue: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="Share of a tile that must be tissue."),
    ] = None,
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
    """Predict slides with a trained model, here or on a Dask cluster; one result file per slide.

    Where --out has a result of the slide and model already, only tiles that it lacks are encoded;
    with --cohort or a cluster it is kept as it is.
    """
    from napari_dre_slcl.cli.jobs import run_to_end
    from napari_dre_slcl.cli.tables import print_predictions
    from napari_dre_slcl.jobs.messages import PredictJob

    job = PredictJob(
        model=model,
        slides=tuple(slides or ()),
        cohort=cohort,
        out=out,
        mpp=mpp,
        mask=mask,
        min_tissue=min_tissue,
        device=device,
        part_tiles=part_tiles,
        cluster=cluster_choice(scheduler, scheduler_file, workers, wait, retries),
        pseudonymize=pseudonymize,
        pseudonym_key=pseudonym_key,
    )
    result = run_to_end(job, as_json=json)
    if not json:
        print_predictions(result)


@app.command()
def info(
    slide: Annotated[Path, typer.Argument(help="Slide file or DICOM folder.")],
    mpp: Mpp = None,
    json: AsJson = False,
) -> None:
    """Show a slide's size, levels, pixel size and number of tissue tiles."""
    from napari_dre_slcl.cli.slide_info import describe_slide

    describe_slide(slide, mpp, as_json=json)


@app.command()
def mpp(
    slides: Annotated[list[Path], typer.Argument(help="Slide files or DICOM folders.")],
    value: Annotated[
        float | None,
        typer.Option("--set", min=0.1, max=10, metavar="UM", help="Store this pixel size in µm."),
    ] = None,
    forget: Annotated[bool, typer.Option("--forget", help="Take stored sizes out again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line per slide.")] = False,
) -> None:
    """Check the pixel sizes of slides, and store right ones in a table beside the slides."""
    from napari_dre_slcl.cli.pixel_sizes import check_pixel_sizes

    if value is not None and forget:
        raise typer.BadParameter("give --set or --forget, not both")
    if not check_pixel_sizes(slides, value, should_forget=forget, as_json=json):
        raise typer.Exit(BAD_INPUT)


@app.command()
def tiles(
    slide: Annotated[Path, typer.Argument(help="Slide file or DICOM folder.")],
    mpp: Mpp = None,
    preset: Preset = "default",
    overrides: Overrides = None,
    mask: Annotated[
        Path | None, typer.Option(help="Tissue mask to use instead of finding the tissue.")
    ] = None,
    save_mask: Annotated[
        Path | None, typer.Option(help="Write the tissue mask as a PNG picture.")
    ] = None,
    geojson: Annotated[
        Path | None, typer.Option(help="Write the kept tiles as GeoJSON, for QuPath.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Show how many tiles of a slide are used, and why the others are not."""
    from napari_dre_slcl.cli.jobs import parse_overrides
    from napari_dre_slcl.cli.tiles import TilesRequest, tile_file
    from napari_dre_slcl.config import load_preset, with_overrides

    config = with_overrides(load_preset(preset), parse_overrides(overrides or []))
    tile_file(TilesRequest(slide, mpp, mask, save_mask, geojson), config.tiling, as_json=json)


@app.command()
def associated(
    slide: Annotated[Path, typer.Argument(help="Slide file or DICOM folder.")],
    name: Annotated[
        str | None, typer.Argument(help="Image to save; without it, the names are listed.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="PNG file to write.")] = None,
    has_consent: Annotated[
        bool,
        typer.Option("--i-may-see-patient-names", help="You may see who the patient is."),
    ] = False,
) -> None:
    """List the other images in a slide file, such as its label, or save one of them."""
    from napari_dre_slcl.cli.associated import list_images, save_image

    if name is None:
        list_images(slide)
    else:
        save_image(slide, name, out, has_consent)


@app.command()
def synth(
    out: Annotated[Path, typer.Option(help="Folder to create.")],
    slides: Annotated[int, typer.Option(min=1, help="Number of slides.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same cohort.")] = 0,
    side: Annotated[int, typer.Option(min=512, help="Edge of a slide in pixels.")] = 4096,
    cue_share: Annotated[
        float, typer.Option(help="Share of glands and nests that show the mutation.")
    ] = 1.0,
    cue_strength: Annotated[
        float, typer.Option(help="How clearly they show it; lower is fainter.")
    ] = 1.0,
) -> None:
    """Generate the built-in cohort: tissue-like slides with reports and known truth."""
    from napari_dre_slcl.cli.synth import generate

    table = generate(out, slides, seed, side, cue_share, cue_strength)
    typer.echo(f"Wrote {slides} slides. Cohort table: {table}")


@app.command()
def presets(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the tables of the documentation.")
    ] = False,
) -> None:
    """Show every setting with its value in each preset."""
    from napari_dre_slcl.cli.settings_tables import print_presets, settings_markdown

    if markdown:
        typer.echo(settings_markdown())
    else:
        print_presets()


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("demo_out"),
    slides: Annotated[int, typer.Option(min=12, help="Slides to generate.")] = 48,
    no_window: Annotated[
        bool, typer.Option("--no-window", help="Only take the screenshot.")
    ] = False,
) -> None:
    """Generate slides, train on them, predict a held-out one and show it in napari."""
    from napari_dre_slcl.cli.demo import DemoPlan, run_demo

    if not run_demo(out, DemoPlan(n_slides=slides), should_open_window=not no_window):
        raise typer.Exit(1)


register_evaluation(app)
register_embed(app)
register_embed_slides(app)
register_index(app)
register_runs(app)
register_plan(app)
register_export(app)
register_pseudonyms(app)
register_doctor(app)

if __name__ == "__main__":
    sys.exit(main())
