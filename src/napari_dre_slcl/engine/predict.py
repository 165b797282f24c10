"""Slides in, SlideResults out: tile, encode, aggregate, predict."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl._version import __version__
from napari_dre_slcl.engine.allocator import keep_freed_memory
from napari_dre_slcl.engine.damage import damage_warning
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.known_features import features_key, take_over
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.errors import JobError, ResultError, SlideError
from napari_dre_slcl.jobs.messages import Cancelled, PredictJob, Result
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.model.network import SlideOutput
from napari_dre_slcl.results import (
    RESULT_SUFFIX,
    SlideResult,
    TaskPrediction,
    load_result,
    save_result,
)
from napari_dre_slcl.slide import Slide, open_slide
from napari_dre_slcl.tiles import TileLoader, TileSource, tile_slide

__all__ = ["predict", "predict_source", "result_path", "run_predict"]

_CHUNK = 256


def predict(model: str | Path, slide: Slide, device: str = "auto") -> SlideResult:
    """Predict one open slide with a trained model.

    Parameters
    ----------
    model : str or Path
        Model folder, or a run folder that holds one.
    slide : Slide
        As `open_slide` opens it; stays open.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    DreSlclError
        If the model or the slide cannot be used.
    """
    bundle = load_bundle(Path(model))
    bundle.net.to(choose_device(device))
    source = TileSource(slide, tile_slide(slide, bundle.config.tiling))
    result = predict_source(bundle, source, Path(slide.info.path).stem)
    if "damaged" in result.provenance:
        warnings.warn(result.provenance["damaged"], stacklevel=2)
    return result


def predict_source(
    bundle: Bundle,
    source: TileSource,
    slide_id: str,
    on_progress: Callable[[int, int], None] | None = None,
    earlier: SlideResult | None = None,
    keep_features: bool = True,
) -> SlideResult:
    """Predict one open slide.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    source : TileSource
        Slide and tile grid.
    slide_id : str
        Its name in the result.
    on_progress : callable, optional
        Called with the number of tiles encoded and of tiles to encode.
    earlier : SlideResult, optional
        Where it is of this file and model, its tile features are taken over and only tiles that it
        lacks are encoded; else it is not used. The answer may differ from that of a full
        prediction in its last digits, as it does with the size of the batches.
    keep_features : bool
        Put the tile features into the result, for another prediction of the slide.

    Returns
    -------
    SlideResult
        Where tiles could not be decoded they count as white, and ``provenance["damaged"]`` says
        how many; more than half of them raise `DamagedSlideError`.
    """
    key = features_key(bundle, source) if keep_features else ""
    known, stored = take_over(earlier, key, source.grid)
    is_new = np.ones(len(source.grid), bool)
    is_new[known] = False
    features = torch.empty(len(source.grid), bundle.net.encoder.dim)
    if earlier is not None and earlier.features is not None and len(known):
        features[~is_new] = torch.from_numpy(earlier.features[stored])
    damaged = ""
    if is_new.any():
        features[is_new], damaged = _encode(bundle, source, np.flatnonzero(is_new), on_progress)
    with torch.no_grad():
        output = bundle.net.describe(features.to(bundle.net.codewords.device))
    result = _as_result(bundle, source, slide_id, output)
    result.provenance["encoded"] = f"{is_new.sum():,} of {len(is_new):,} tiles"
    if damaged:
        # No features are kept then: predicting again should look at the file, and tell, again.
        result.provenance["damaged"] = damaged
        return result
    return replace(result, features=features.numpy(), features_key=key) if keep_features else result


def _encode(
    bundle: Bundle,
    source: TileSource,
    tiles: NDArray[np.int64],
    on_progress: Callable[[int, int], None] | None,
) -> tuple[torch.Tensor, str]:
    """Return the features of some tiles of a grid, on the CPU, and what is to tell of damage."""
    device = bundle.net.codewords.device
    chunks = np.array_split(tiles, range(_CHUNK, len(tiles), _CHUNK))
    loader = TileLoader([source], bundle.config.encoder.input_px, cache_mib=0)
    features: list[torch.Tensor] = []
    bundle.net.eval()
    with (
        closing(loader),
        closing(loader.prefetch([(0, chunk)] for chunk in chunks)) as batches,
        torch.no_grad(),
    ):
        for pixels in batches:
            if on_progress is not None:
                on_progress(sum(map(len, features)), len(tiles))
            scaled = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)
            features.append(bundle.net.encoder(scaled).float().cpu())
        n_damaged = sum(map(len, loader.damaged.values()))
    damaged = damage_warning(source.slide.name, n_damaged, len(source.grid)) if n_damaged else ""
    return torch.cat(features), damaged


def _as_result(
    bundle: Bundle, source: TileSource, slide_id: str, output: SlideOutput
) -> SlideResult:
    info, grid = source.slide.info, source.grid
    return SlideResult(
        slide_id=slide_id,
        slide_path=info.path,
        slide_shape=info.shape,
        mpp=info.mpp,
        mpp_source=info.mpp_source,
        tile_size_px=grid.size_px,
        grid_shape=grid.shape,
        rowcol=grid.rowcol,
        codeword=output.codeword.cpu().numpy(),
        attention=output.attention.cpu().numpy().astype(np.float32),
        residual_norm=output.residual_norm.cpu().numpy().astype(np.float32),
        n_codewords=len(output.codeword_attention),
        codeword_attention=output.codeword_attention.cpu().numpy().astype(np.float32),
        slide_vector=output.vector.cpu().numpy().astype(np.float32),
        predictions=tuple(
            TaskPrediction(task.name, task.classes, tuple(values.cpu().tolist()), task.positive)
            for task, values in zip(bundle.tasks, output.probabilities, strict=True)
        ),
        provenance={
            "napari-dre-slcl": __version__,
            "model_sha256": bundle.weights_sha256,
            "method": bundle.config.method,
            "encoder": bundle.config.encoder.name,
            "predicted": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )


def result_path(folder: Path, slide_id: str) -> Path:
    """Return where the result of a slide is kept in a folder."""
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', slide_id)}{RESULT_SUFFIX}"


def run_predict(job: PredictJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Predict slides with a trained model; a broken slide is named at the end, the rest is done.

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
    reporter.progress("Finding tissue", 0, 1, path.name)
    with open_slide(path, mpp=job.mpp) as slide:
        source = TileSource(slide, tile_slide(slide, bundle.config.tiling))
        result = predict_source(
            bundle,
            source,
            path.stem,
            lambda done, total: reporter.progress("Encoding tiles", done, total, path.name),
            _earlier(target),
        )
    reporter.warn_once(result.provenance.get("damaged", ""))
    return save_result(result, target)


def _earlier(path: Path) -> SlideResult | None:
    """Return the result that lies there; a damaged one is as good as none, it is written anew."""
    try:
        return load_result(path)
    except ResultError:
        return None
