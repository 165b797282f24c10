"""Makes a cohort searchable: predicts every slide, then writes the index of tiles and slides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl._version import __version__
from napari_dre_slcl.cohort.cohort import SlideRow
from napari_dre_slcl.cohort.feature_store import feature_file, read_features
from napari_dre_slcl.engine.allocator import keep_freed_memory
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.feature_source import FeatureSource
from napari_dre_slcl.engine.known_features import features_key, take_over
from napari_dre_slcl.engine.model_cohort import cohort_for_model
from napari_dre_slcl.engine.predict import result_path
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.reporter import OnEvent, Reporter, ShouldStop, Stopped
from napari_dre_slcl.errors import ResultError, SlideError
from napari_dre_slcl.insight.write_index import IndexFacts, IndexPart, index_part, write_index
from napari_dre_slcl.jobs.messages import Cancelled, IndexJob, Result
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.results import SlideResult, load_result, save_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.fingerprint import slide_fingerprint
from napari_dre_slcl.tiles import TileSource, tile_slide
from napari_dre_slcl.tiles.wording import tiles_text

__all__ = ["RESULTS_FOLDER", "run_index"]

RESULTS_FOLDER = "results"
_CHUNK = 8192
_FILE_KEY = "feature file state"
"""Provenance of a result from a feature file: tells whether the file is still the same."""


def run_index(job: IndexJob, on_event: OnEvent, should_stop: ShouldStop) -> Result | Cancelled:
    """Predict every slide of a cohort, and make its tiles and slides searchable.

    Results that lie in the index's folder and still hold are used again, so that a job that was
    cancelled goes on where it was. The index itself is written at the end, whole. A slide that
    cannot be read is left out and named.

    Raises
    ------
    DreSlclError
        If the model, the table or the folder cannot be used, or no slide at all could be read.
    """
    reporter = Reporter(on_event, should_stop)
    bundle = load_bundle(job.model)
    device = choose_device(job.device)
    bundle.net.to(device)
    if device.type == "cpu":
        keep_freed_memory()
    config, cohort = cohort_for_model(bundle, job.cohort, job.features)
    builder = _Builder(bundle, job.out, config.features.folder, reporter)
    try:
        for number, row in enumerate(cohort.rows):
            reporter.progress("Predicting the cohort", number, len(cohort), row.slide_id)
            builder.add(row)
        reporter.progress("Predicting the cohort", len(cohort), len(cohort))
        if not builder.parts:
            last = next(reversed(builder.skipped.values()))
            raise SlideError(f"None of the {len(cohort)} slides could be read. {last}")
        builder.write(str(job.model.absolute()))
    except Stopped:
        return Cancelled(
            message=f"Cancelled. The results of {len(builder.parts):,} of {len(cohort):,} slides "
            "are kept; make the cohort searchable again to go on from there."
        )
    n_tiles = sum(part.slide.n_tiles for part in builder.parts)
    return Result(
        kind="index",
        paths={"index": job.out},
        metrics={"slides": len(builder.parts), "tiles": n_tiles},
        skipped=builder.skipped,
    )


class _Builder:
    """Results of a cohort, one after the other, and the index of them."""

    def __init__(
        self, bundle: Bundle, out: Path, features: Path | None, reporter: Reporter
    ) -> None:
        self._bundle = bundle
        self._out = out
        self._features = features
        self._reporter = reporter
        self._files: list[Path | None] = []
        self.parts: list[IndexPart] = []
        self.skipped: dict[str, str] = {}

    def add(self, row: SlideRow) -> None:
        """Predict a slide of the table, or say why it is left out."""
        target = result_path(self._out / RESULTS_FOLDER, row.slide_id)
        try:
            if self._bundle.feature_dim is None:
                file, result = None, self._of_slide(row, target)
                has_features = result.features is not None
            else:
                file = self._feature_file(row)
                result, has_features = self._of_file(row, file, target), True
        except SlideError as error:
            self.skipped[row.slide_id] = str(error)
            self._reporter.log(f"{error} It is left out.", "warning")
            return
        self._tell_of(result)
        labels = row.labels | ({"site": row.site} if row.site else {})
        part = index_part(result, target, row.patient_id, labels, row.split, has_features)
        self.parts.append(part)
        self._files.append(file)

    def write(self, model: str) -> None:
        """Write the index of all that was added."""
        bundle = self._bundle
        facts = IndexFacts(
            model,
            bundle.weights_sha256,
            bundle.config.method,
            len(bundle.codeword_names),
            int(bundle.net.encoder.dim),
            bundle.config.training.seed,
            tuple(task.name for task in bundle.tasks),
        )
        write_index(self._out, facts, self.parts, self._all_features())
        self._reporter.progress("Writing the index", len(self.parts), len(self.parts))

    def _of_slide(self, row: SlideRow, target: Path) -> SlideResult:
        """Predict from pixels; an earlier result that says all of it is taken as it is."""
        if row.path is None:
            raise SlideError(f"Slide '{row.slide_id}' names no file.")
        with open_slide(row.path, mpp=row.mpp, mpp_source="cohort table") as slide:
            source = TileSource(slide, tile_slide(slide, self._bundle.config.tiling))
            earlier, key = _earlier(target), features_key(self._bundle, source)
            known, _ = take_over(earlier, key, source.grid)
            if earlier is not None and len(known) == len(source.grid) == len(earlier.rowcol):
                return earlier
            result = predict_source(
                self._bundle,
                source,
                row.slide_id,
                lambda done, total: self._reporter.progress(
                    "Encoding tiles", done, total, row.slide_id
                ),
                earlier,
            )
        result.provenance["tissue tiles"] = tiles_text(source.grid)
        save_result(result, target)
        return result

    def _of_file(self, row: SlideRow, file: Path, target: Path) -> SlideResult:
        """Predict from a feature file, unless it and the model are those of an earlier result."""
        key = f"{slide_fingerprint(file)} {self._bundle.weights_sha256} {__version__}"
        earlier = _earlier(target)
        if earlier is not None and earlier.provenance.get(_FILE_KEY) == key:
            return earlier
        source = FeatureSource.open(file, row.path)
        result = predict_source(self._bundle, source, row.slide_id)
        result.provenance[_FILE_KEY] = key
        save_result(result, target)
        return result

    def _feature_file(self, row: SlideRow) -> Path:
        if self._features is None:
            if row.features is None:
                raise SlideError(f"Slide '{row.slide_id}' names no feature file.")
            return row.features
        names = [row.slide_id, *([row.path.stem] if row.path else [])]
        found = feature_file(self._features, names)
        if found is None:
            raise SlideError(f"The folder '{self._features}' has no file '{row.slide_id}.h5'.")
        return found

    def _tell_of(self, result: SlideResult) -> None:
        """Say why the tiles of a slide cannot be found, where that is so."""
        for name in ("tiles", "damaged"):
            if name in result.provenance:
                self._reporter.warn_once(
                    f"{result.slide_id}: {result.provenance[name]} Its tiles are not searchable."
                )

    def _all_features(self) -> Iterator[NDArray[np.float32]]:
        """Yield (n, d) of each part in turn, from disk, so that one slide is in memory."""
        empty = np.empty((0, int(self._bundle.net.encoder.dim)), np.float32)
        for number, (part, file) in enumerate(zip(self.parts, self._files, strict=True)):
            self._reporter.progress(
                "Writing the index", number, len(self.parts), part.slide.slide_id
            )
            if not part.slide.n_tiles:
                yield empty
            elif file is not None:
                yield _encoded(self._bundle, read_features(file).features)
            else:
                stored = load_result(part.slide.result).features
                yield empty if stored is None else stored


@torch.no_grad()
def _encoded(bundle: Bundle, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what the model's adapter makes of stored features."""
    encoder, device = bundle.net.encoder, bundle.net.device
    encoder.eval()
    parts = [
        encoder(encoder.prepare(part, device)).float().cpu()
        for part in torch.split(torch.from_numpy(features), _CHUNK)
    ]
    encoded: NDArray[Any] = torch.cat(parts).numpy()
    return encoded


def _earlier(path: Path) -> SlideResult | None:
    try:
        return load_result(path)
    except ResultError:
        return None
