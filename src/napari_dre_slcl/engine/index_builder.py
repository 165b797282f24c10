"""Predicts slides for an index, or takes over what is known of them, and writes the index."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_dre_slcl._version import __version__
from napari_dre_slcl.cohort.cohort import SlideRow
from napari_dre_slcl.cohort.feature_store import feature_file, read_features
from napari_dre_slcl.engine.feature_source import FeatureSource
from napari_dre_slcl.engine.known_features import features_key, take_over
from napari_dre_slcl.engine.predict import result_path
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import ResultError, SlideError
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_journal import IndexJournal, KnownSlide, mark_of_result
from napari_dre_slcl.insight.index_part import (
    IndexFacts,
    IndexPart,
    IndexSource,
    index_part,
    indexed_slide,
)
from napari_dre_slcl.insight.write_index import WrittenIndex, write_index
from napari_dre_slcl.model.bundle import Bundle
from napari_dre_slcl.results import SlideResult, load_result, save_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.fingerprint import slide_fingerprint
from napari_dre_slcl.slide.urls import shown
from napari_dre_slcl.tiles import TileSource, tile_slide
from napari_dre_slcl.tiles.wording import tiles_text

__all__ = ["RESULTS_FOLDER", "IndexBuilder"]

RESULTS_FOLDER = "results"
_CHUNK = 8192
_FILE_KEY = "feature file state"
"""Provenance of a result from a feature file: tells whether the file is still the same."""


class IndexBuilder:
    """Results of a cohort, one after the other, and the index of them.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    out : Path
        Folder of the index; results go into it as well.
    features : Path or None
        Folder of feature files, for a model of such.
    reporter : Reporter
        Told what is done.
    """

    def __init__(
        self, bundle: Bundle, out: Path, features: Path | None, reporter: Reporter
    ) -> None:
        self._bundle = bundle
        self._out = out
        self._features = features
        self._reporter = reporter
        self._journal = IndexJournal(out)
        self.sources: list[IndexSource] = []
        self.skipped: dict[str, str] = {}
        self.n_kept = 0

    def add(self, row: SlideRow) -> None:
        """Predict a slide of the table, or say why it is left out."""
        target = result_path(self._out / RESULTS_FOLDER, row.slide_id)
        try:
            file = self._file(row)
            mark = self._mark(row, file)
            known = self._journal.known(row.slide_id, mark, target)
            self.n_kept += known is not None
            if known is None:
                known = self._predicted(row, file, target, mark)
        except SlideError as error:
            self.skipped[row.slide_id] = str(error)
            self._reporter.log(f"{error} It is left out.", "warning")
            return
        self._reporter.warn_once(known.note)
        labels = row.labels | ({"site": row.site} if row.site else {})
        slide = replace(known.slide, patient_id=row.patient_id, labels=labels, split=row.split)
        read = partial(_read, self._bundle, slide, file)
        self.sources.append(IndexSource(slide, known.mark, read, known.note))

    def write(self, model: str) -> WrittenIndex:
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
        written = write_index(self._out, facts, self.sources, on_progress=self._reporter.progress)
        self._journal.delete()
        return written

    def _file(self, row: SlideRow) -> Path:
        """Return the file that is predicted: the slide, or that of its features."""
        if self._bundle.feature_dim is not None:
            return self._feature_file(row)
        if row.path is None:
            raise SlideError(f"Slide '{row.slide_id}' names no file.")
        return row.path

    def _mark(self, row: SlideRow, file: Path) -> str:
        """Return a text that is another one where the slide is to be predicted again."""
        config = self._bundle.config
        facts = {
            "file": slide_fingerprint(file),
            "slide": "" if row.path is None else shown(row.path),
            "mpp": row.mpp,
            "model": self._bundle.weights_sha256,
            "tiling": config.tiling.model_dump(mode="json"),
            "encoder": config.encoder.model_dump(mode="json"),
            "version": __version__,
        }
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _predicted(self, row: SlideRow, file: Path, target: Path, mark: str) -> KnownSlide:
        """Predict a slide, and note that it is done."""
        if self._bundle.feature_dim is None:
            result = self._of_slide(row, file, target)
            has_features = result.features is not None
        else:
            result, has_features = self._of_file(row, file, target), True
        slide = indexed_slide(result, target, has_features=has_features)
        known = KnownSlide(slide, mark_of_result(mark, target), _note(result))
        if "damaged" not in result.provenance:  # the next time should look at the file again
            self._journal.add(known)
        return known

    def _of_slide(self, row: SlideRow, file: Path, target: Path) -> SlideResult:
        """Predict from pixels; an earlier result that says all of it is taken as it is."""
        with open_slide(file, mpp=row.mpp, mpp_source="cohort table") as slide:
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


def _note(result: SlideResult) -> str:
    """Say why the tiles of a slide cannot be found, where that is so."""
    for name in ("tiles", "damaged"):
        if name in result.provenance:
            return f"{result.slide_id}: {result.provenance[name]} Its tiles are not searchable."
    return ""


def _read(bundle: Bundle, slide: IndexedSlide, file: Path) -> IndexPart:
    """Return the tiles of a slide from its result and, of a model of features, from its file."""
    if bundle.feature_dim is None:
        result = load_result(slide.result)
        return index_part(result, result.features)
    result = load_result(slide.result, with_features=False)
    if not slide.n_tiles:
        return index_part(result, None)
    return index_part(result, _encoded(bundle, read_features(file).features))


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
