"""Slides in, SlideResults out: in Python, and as the job that window and command line start."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Container
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from napari_dre_slcl.atomic_file import delete_left_over
from napari_dre_slcl.cohort.left_out import write_left_out
from napari_dre_slcl.engine.cohort_items import items_of_table
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.hand_out import do_all
from napari_dre_slcl.engine.many_slides import Tally, out_folder, split_kept
from napari_dre_slcl.engine.predict_file import PredictWork, load_onto, opened_file
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.engine.slide_work import SlideItem
from napari_dre_slcl.errors import JobError, SlideError
from napari_dre_slcl.jobs.messages import Cancelled, PredictJob, Result
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.plain_text import visible
from napari_dre_slcl.results import RESULT_SUFFIX, SlideResult
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.slide.urls import located, remote_name
from napari_dre_slcl.tiles import TileSource, TissueMask, tile_slide

__all__ = ["predict", "result_path", "run_predict"]


def predict(
    model: str | Path,
    slide: Slide,
    device: str = "auto",
    mask: TissueMask | None = None,
    earlier: SlideResult | None = None,
) -> SlideResult:
    """Predict one open slide with a trained model.

    Parameters
    ----------
    model : str or Path
        Model folder, or a run folder that holds one.
    slide : Slide
        As `open_slide` opens it; stays open.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    mask : TissueMask, optional
        Where the tissue is, as corrected by hand; found in the slide's pixels by default.
    earlier : SlideResult, optional
        Of the same slide and model: only tiles that it lacks are encoded.

    Returns
    -------
    SlideResult
        Predictions, tiles with their codewords and attention, slide vector, and where all of it
        comes from.

    Raises
    ------
    DreSlclError
        If the model, the mask or the slide cannot be used.
    """
    bundle = load_bundle(Path(model))
    bundle.net.to(choose_device(device))
    source = TileSource(slide, tile_slide(slide, bundle.config.tiling, mask))
    result = predict_source(bundle, source, Path(slide.info.path).stem, earlier=earlier)
    if "damaged" in result.provenance:
        warnings.warn(visible(result.provenance["damaged"]), stacklevel=2)
    return result


def result_path(folder: Path, slide_id: str) -> Path:
    """Return where the result of a slide is kept in a folder.

    Signs that not every disk takes become ``_``; a hash then keeps "a b" and "a_b" apart.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", slide_id)
    if name != slide_id:
        name = f"{name}-{hashlib.sha256(slide_id.encode(errors='surrogateescape')).hexdigest()[:6]}"
    return folder / f"{name}{RESULT_SUFFIX}"


def run_predict(job: PredictJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Predict slides with a trained model; a broken slide is named at the end, the rest is done.

    A model that was trained on feature files takes such files (.h5, .hdf5) in the slides' place.

    A result of the same slide and model that lies in the job's folder already is brought up to
    date: only tiles that it lacks are encoded. With a cohort table or a cluster it is kept.

    Raises
    ------
    DreSlclError
        If the model or the cluster cannot be used, or no slide at all could be predicted.
    """
    reporter = Reporter(on_event, should_stop)
    items = _items(job)
    if job.mask is not None and len(items) > 1:
        raise JobError(
            f"The tissue mask '{job.mask}' is of one slide, but {len(items)} slides were "
            "given. Predict its slide alone, and the others without a mask."
        )
    loaded = load_onto(job.model, job.device)
    work = PredictWork(
        model=job.model.absolute(),
        model_sha256=loaded.weights_sha256,
        device=job.device,
        min_tissue=job.min_tissue,
        mask=job.mask,
        part_tiles=job.part_tiles,
        has_ids=job.cohort is not None,
    )
    if job.cohort is None and job.cluster is None:
        return _predict_each(loaded, work, items, reporter)
    del loaded  # each process loads its own
    return _predict_many(job, work, items, reporter, on_event)


def _items(job: PredictJob) -> list[SlideItem]:
    if job.cohort is not None:
        if job.slides:
            raise JobError("Name slides or a cohort table (--cohort), not both.")
        return items_of_table(job.cohort, lambda name: result_path(job.out, name), job.mpp)
    if not job.slides:
        raise JobError("No slide was given to predict. Name at least one slide file.")
    items: dict[str, SlideItem] = {}
    for path in job.slides:
        name = _free_name(Path(remote_name(path)).stem, items)
        output = result_path(job.out, name).absolute()
        items[name] = SlideItem(name, located(path), output, job.mpp, job.mpp_source)
    return list(items.values())


def _predict_each(
    bundle: Bundle, work: PredictWork, items: list[SlideItem], reporter: Reporter
) -> Result | Cancelled:
    """Predict slides here, one after the other."""
    paths: dict[str, Path] = {}
    skipped: dict[str, str] = {}
    for folder in {item.output.parent for item in items}:
        delete_left_over(folder)
    try:
        for item in items:
            try:
                _predict_file(bundle, work, item, reporter)
                paths[item.slide_id] = item.output
            except SlideError as error:
                if len(items) == 1:
                    raise
                skipped[str(item.path)] = str(error)
                reporter.log(str(error), "warning")
    except Stopped:
        return Cancelled(message=f"Cancelled after {len(paths)} of {len(items)} slides.")
    return _result(items, paths, skipped)


def _predict_file(bundle: Bundle, work: PredictWork, item: SlideItem, reporter: Reporter) -> None:
    def tell(done: int, total: int) -> None:
        reporter.progress("Encoding tiles", done, total, remote_name(item.path))

    with opened_file(bundle, work, item, reporter) as slide:
        tiles = slide.tiles
        features, damaged = slide.encode(tiles, tell) if len(tiles) else (Tensor(), "")
        slide.write(features, damaged)


def _predict_many(
    job: PredictJob,
    work: PredictWork,
    items: list[SlideItem],
    reporter: Reporter,
    on_event: OnEvent,
) -> Result | Cancelled:
    """Predict each slide once, here or on a cluster; finished results are kept."""
    tally = Tally()
    with out_folder(job.out, reporter) as token:
        try:
            marked = replace(work, token=token.absolute())
            left = split_kept(marked, items, reporter, tally)
            do_all(marked, left, job.cluster, reporter, on_event, tally)
        except Stopped:
            n_there = len(tally.done) + len(tally.kept)
            return Cancelled(
                message=f"Cancelled with {n_there:,} of {len(items):,} slides predicted. The same "
                "command goes on from there."
            )
        finally:
            with suppress(OSError):  # the folder has gone; nor must it hide the reason
                write_left_out(job.out, tally.broken)
    return _result(items, tally.paths(items), tally.broken)


def _result(items: list[SlideItem], paths: dict[str, Path], skipped: dict[str, str]) -> Result:
    if not paths:
        last = next(reversed(skipped.values()))
        raise SlideError(f"None of the {len(items)} slides could be predicted. {last}")
    return Result(kind="predict", paths=paths, skipped=skipped)


def _free_name(slide_id: str, taken: Container[str]) -> str:
    """Two slides of the same name from different folders get different results."""
    name, number = slide_id, 2
    while name in taken:
        name, number = f"{slide_id}-{number}", number + 1
    return name
