"""The command ``export``: results as files for other programs and for readers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_dre_slcl.cli.convert_features import register as register_convert_features
from napari_dre_slcl.cli.options import Pseudonymize, PseudonymKey
from napari_dre_slcl.cli.share import register as register_share

if TYPE_CHECKING:
    from napari_dre_slcl.cohort.pseudonyms import Pseudonyms
    from napari_dre_slcl.export.export_slide import ExportRequest
    from napari_dre_slcl.export.unfinished import UnfinishedExport
    from napari_dre_slcl.results import SlideResult

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands that write for other programs to the command line."""
    app.command()(export)
    register_convert_features(app)
    register_share(app)


def export(
    results: Annotated[
        list[Path], typer.Argument(help="Result files (.dreslcl.npz), as 'predict' writes them.")
    ],
    to: Annotated[
        list[str],
        typer.Option(
            help="geojson (QuPath), ome-zarr, csv, parquet, h5ad (AnnData), spatialdata, png or "
            "html; may be repeated, or several with commas."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    slide: Annotated[
        Path | None, typer.Option(help="The slide of the one result, where it has moved.")
    ] = None,
    mpp_out: Annotated[
        float, typer.Option(min=0.1, max=500, help="µm per pixel of a png picture.")
    ] = 4.0,
    map_key: Annotated[
        str,
        typer.Option(
            "--map", help="Map of a png picture: codewords, attention, evidence:TASK:CLASS, ..."
        ),
    ] = "attention",
    identifiers: Annotated[
        bool,
        typer.Option(
            "--identifiers",
            help="Use slide id and file name, which may tell who the patient is.",
        ),
    ] = False,
    pseudonymize: Pseudonymize = False,
    pseudonym_key: PseudonymKey = None,
) -> None:
    """Write results for QuPath, napari, tables and pictures, or as a report on one page.

    Without --identifiers the files are called slide, slide-2 and so on, and name no patient. With
    --pseudonymize they are called by the slides' pseudonyms.
    """
    from napari_dre_slcl.cohort.pseudonyms import load_pseudonyms
    from napari_dre_slcl.errors import ExportError
    from napari_dre_slcl.export.export_slide import ExportRequest

    if slide is not None and len(results) > 1:
        raise ExportError(
            f"--slide is one slide, but {len(results)} results were given. Export its result alone."
        )
    formats = tuple(part.strip() for text in to for part in text.split(",") if part.strip())
    has_names = identifiers or pseudonymize
    request = ExportRequest(formats, out, slide, mpp_out, map_key, has_names)
    _export_all(results, request, load_pseudonyms(pseudonym_key) if pseudonymize else None)


def _export_all(results: list[Path], request: ExportRequest, names: Pseudonyms | None) -> None:
    """Write one result after the other, and tell each file."""
    from napari_dre_slcl.cli.console import say
    from napari_dre_slcl.cli.progress import show_events
    from napari_dre_slcl.export.export_slide import WITH_FEATURES, export_result, target_files
    from napari_dre_slcl.jobs.messages import Progress
    from napari_dre_slcl.jobs.private_result import private_result
    from napari_dre_slcl.results import load_result

    written: list[tuple[Path, list[Path]]] = []
    unfinished = _unfinished(results, request, names)
    try:
        with show_events(as_json=False) as on_event:
            for number, path in enumerate(results):
                result = load_result(path, not WITH_FEATURES.isdisjoint(request.formats))
                if names is not None:
                    result = private_result(result, names)
                    request = _under_pseudonym(request, result, names)
                files, done = unfinished.targets(number, path, target_files(result, request))
                _refuse_same_names(path, files.values(), written)
                report = _reporter(on_event, f"{number + 1} of {len(results)}", Progress)
                export_result(
                    *(result, request, None, report),
                    targets=files,
                    done=done,
                    on_begin=unfinished.note,
                )
                written.append((path, list(files.values())))
        unfinished.end()
    finally:
        # What is whole stays although a later result is broken, and neutral names need telling.
        for source, whole in written:
            for file in whole:
                say(f"{source.name} -> {file}")


def _unfinished(
    results: list[Path], request: ExportRequest, names: Pseudonyms | None
) -> UnfinishedExport:
    """Find out whether this very export was broken off, and say so."""
    from napari_dre_slcl.cli.console import status
    from napari_dre_slcl.export.unfinished import UnfinishedExport

    told = [repr(request), *(str(path.absolute()) for path in results)]
    if names is not None:
        told = [names.tag("export", text) for text in told]
    unfinished = UnfinishedExport(request.out, told)
    if unfinished.begin():
        status().print(
            "This export was broken off before. It goes on: files that are there are kept.",
            soft_wrap=True,
        )
    return unfinished


def _under_pseudonym(
    request: ExportRequest, result: SlideResult, names: Pseudonyms
) -> ExportRequest:
    """Have the slide that is given read through a link, too."""
    from napari_dre_slcl.cohort.private_slides import link_slide
    from napari_dre_slcl.cohort.pseudonyms import is_under_pseudonym, private_folder

    if request.slide is None or is_under_pseudonym(request.slide):
        return request
    place = private_folder() / f"files-{names.tag('files', str(request.slide.parent.absolute()))}"
    return replace(request, slide=link_slide(request.slide, result.slide_id, place))


def _refuse_same_names(
    source: Path, files: Collection[Path], written: list[tuple[Path, list[Path]]]
) -> None:
    from napari_dre_slcl.errors import ExportError

    for earlier, there in written:
        if not set(files).isdisjoint(there):
            raise ExportError(
                f"The results '{earlier}' and '{source}' are of slides of the same id, and their "
                "files would replace each other. Export them to different folders."
            )


def _reporter(
    on_event: Callable[..., None], message: str, event: Callable[..., object]
) -> Callable[[str, float], None]:
    """Return a callback that shows an export as a bar of hundred steps."""

    def report(_name: str, share: float) -> None:
        on_event(event(stage="Exporting", done=round(100 * share), total=100, message=message))

    return report
