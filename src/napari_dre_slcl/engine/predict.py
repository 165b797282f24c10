"""Slides in, SlideResults out: in Python, and as the job that window and command line start."""

from __future__ import annotations

import hashlib
import re
import warnings
from pathlib import Path

from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES
from napari_dre_slcl.engine.allocator import keep_freed_memory
from napari_dre_slcl.engine.damage import left_out_warning
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.feature_source import FeatureSource
from napari_dre_slcl.engine.findings import warn_of_findings
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.errors import JobError, ResultError, SlideError
from napari_dre_slcl.jobs.messages import Cancelled, PredictJob, Result
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.results import RESULT_SUFFIX, SlideResult, load_result, save_result
from napari_dre_slcl.slide import Slide, open_slide
from napari_dre_slcl.tiles import TileSource, TissueMask, load_tissue_mask, tile_slide
from napari_dre_slcl.tiles.wording import tiles_text

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
        warnings.warn(result.provenance["damaged"], stacklevel=2)
    return result


def result_path(folder: Path, slide_id: str) -> Path:
    """Return where the result of a slide is kept in a folder.

    Signs that not every disk takes become ``_``; a hash then keeps "a b" and "a_b" apart.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", slide_id)
    if name != slide_id:
        name = f"{name}-{hashlib.sha256(slide_id.encode()).hexdigest()[:6]}"
    return folder / f"{name}{RESULT_SUFFIX}"


def run_predict(job: PredictJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Predict slides with a trained model; a broken slide is named at the end, the rest is done.

    A model that was trained on feature files takes such files (.h5, .hdf5) in the slides' place.

    A result of the same slide and model that lies in the job's folder already is brought up to
    date: only tiles that it lacks are encoded.

    Raises
    ------
    DreSlclError
        If the model cannot be used, or no slide at all could be predicted.
    """
    reporter = Reporter(on_event, should_stop)
    if not job.slides:
        raise JobError("No slide was given to predict. Name at least one slide file.")
    if job.mask is not None and len(job.slides) > 1:
        raise JobError(
            f"The tissue mask '{job.mask}' is of one slide, but {len(job.slides)} slides were "
            "given. Predict its slide alone, and the others without a mask."
        )
    loaded = load_bundle(job.model)
    device = choose_device(job.device)
    loaded.net.to(device)
    if device.type == "cpu":
        keep_freed_memory()
    paths: dict[str, Path] = {}
    skipped: dict[str, str] = {}
    try:
        for path in job.slides:
            name = _free_name(path.stem, paths)
            try:
                paths[name] = _predict_file(loaded, job, path, name, reporter)
            except SlideError as error:
                if len(job.slides) == 1:
                    raise
                skipped[str(path)] = str(error)
                reporter.log(str(error), "warning")
    except Stopped:
        return Cancelled(message=f"Cancelled after {len(paths)} of {len(job.slides)} slides.")
    if not paths:
        last = next(reversed(skipped.values()))
        raise SlideError(f"None of the {len(job.slides)} slides could be predicted. {last}")
    return Result(kind="predict", paths=paths, skipped=skipped)


def _free_name(slide_id: str, taken: dict[str, Path]) -> str:
    """Two slides of the same name from different folders get different results."""
    name, number = slide_id, 2
    while name in taken:
        name, number = f"{slide_id}-{number}", number + 1
    return name


def _predict_file(
    bundle: Bundle, job: PredictJob, path: Path, name: str, reporter: Reporter
) -> Path:
    """Predict one slide and write its result."""
    target = result_path(job.out, name)
    if path.suffix.lower() in FEATURE_SUFFIXES:
        return save_result(_predict_features(bundle, job, path, reporter), target)
    if bundle.feature_dim is not None:
        raise SlideError(
            f"This model was trained on feature files of {bundle.feature_dim} numbers per tile, it "
            f"cannot see '{path.name}'. Give the slide's feature file (.h5)."
        )
    reporter.progress("Finding tissue", 0, 1, path.name)
    tiling, mask = bundle.config.tiling, None
    if job.min_tissue is not None:
        tiling = tiling.model_copy(update={"min_tissue": job.min_tissue})
    if job.mask is not None:
        mask = load_tissue_mask(job.mask)
    with open_slide(path, mpp=job.mpp, mpp_source=job.mpp_source) as slide:
        source = TileSource(slide, tile_slide(slide, tiling, mask))
        reporter.log(f"{path.name}: {tiles_text(source.grid)}.")
        warn_of_findings([slide.info], reporter)
        reporter.warn_once(left_out_warning(source))
        result = predict_source(
            bundle,
            source,
            path.stem,
            lambda done, total: reporter.progress("Encoding tiles", done, total, path.name),
            _earlier(target),
        )
    result.provenance["tissue mask"] = "automatic" if job.mask is None else _file_and_hash(job.mask)
    result.provenance["tissue tiles"] = tiles_text(source.grid)
    result.provenance["least tissue"] = f"{tiling.min_tissue:.0%}"
    reporter.log(f"{path.name}: encoded {result.provenance['encoded']}.")
    reporter.warn_once(result.provenance.get("damaged", ""))
    return save_result(result, target)


def _predict_features(
    bundle: Bundle, job: PredictJob, path: Path, reporter: Reporter
) -> SlideResult:
    """Predict from the features of a slide's tiles."""
    if job.mask is not None or job.min_tissue is not None:
        reporter.warn_once(
            "A feature file has its tiles already: tissue mask and least tissue are not used."
        )
    result = predict_source(
        bundle,
        FeatureSource.open(path),
        path.stem,
        lambda done, total: reporter.progress("Reading features", done, total, path.name),
    )
    reporter.log(f"{path.name}: read {result.provenance['encoded']}.")
    if "tiles" in result.provenance:
        reporter.log(f"{path.name}: {result.provenance['tiles']} There is no map.", "warning")
    return result


def _file_and_hash(path: Path) -> str:
    return f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def _earlier(path: Path) -> SlideResult | None:
    """Return the result that lies there; a damaged one is as good as none, it is written anew."""
    try:
        return load_result(path)
    except ResultError:
        return None
