"""Slide vectors of a whole cohort, made by a trained model of any method."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.allocator import keep_freed_memory
from napari_dre_slcl.atomic_file import aside_of, make_folder, set_mark
from napari_dre_slcl.cohort.cohort import Cohort
from napari_dre_slcl.engine.broken_slides import BrokenSlides
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.feature_source import Source
from napari_dre_slcl.engine.model_cohort import cohort_for_model
from napari_dre_slcl.engine.open_files import allow_many_open_files
from napari_dre_slcl.engine.open_sources import open_sources
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.slide_vectors import write_vectors
from napari_dre_slcl.errors import ConfigError, JobError, SlideError
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.tiles import TileSource

__all__ = ["EmbedRequest", "Embedded", "embed_slides"]


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """What to embed.

    Parameters
    ----------
    model : Path
        Model folder, or a run folder that holds one.
    cohort : Path
        Cohort table; labels and splits are not looked at.
    out : Path
        File to write, ending in ``.npz``; one that is there is replaced.
    features : Path, optional
        Folder of feature files, for a model of these. By default those that the table names, else
        those of the folder that the model was trained on.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    model: Path
    cohort: Path
    out: Path
    features: Path | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was written.

    Parameters
    ----------
    path : Path
        The file: ``ids`` (n,), ``X`` (n, d) float32, and ``method``, ``model_sha256`` and
        ``cohort_sha256``.
    shape : tuple of int
        (n, d).
    skipped : dict of str
        Slides that could not be read, each with the reason.
    """

    path: Path
    shape: tuple[int, int]
    skipped: dict[str, str] = field(default_factory=dict)


def embed_slides(request: EmbedRequest, reporter: Reporter) -> Embedded:
    """Make the vector of every slide of a cohort and write all of them into one file.

    A slide that cannot be read is left out and told; the file is written at the end, whole.

    Raises
    ------
    DreSlclError
        If the model, the table or the file cannot be used, or no slide at all can be read.
    """
    if request.out.suffix.lower() != ".npz":
        raise ConfigError(f"'{request.out}' is no name for slide vectors; end it in .npz.")
    if request.out.is_dir():
        raise ConfigError(f"'{request.out}' is a folder. Name a file to write, ending in .npz.")
    _make_folder(request.out)
    bundle = load_bundle(request.model)
    device = choose_device(request.device)
    bundle.net.to(device)
    if device.type == "cpu":
        keep_freed_memory()
    allow_many_open_files()
    config, cohort = cohort_for_model(bundle, request.cohort, request.features)
    broken = BrokenSlides(cohort, 1.0)
    sources = open_sources(cohort, config, reporter, broken=broken)
    gone = broken.by_name()
    for reason in gone.values():
        reporter.log(f"{reason} It is left out.", "warning")
    cohort = replace(cohort, rows=tuple(r for r in cohort.rows if r.slide_id not in gone))
    with closing(_Opened(sources)):
        vectors, skipped = _embed(bundle, cohort, sources, reporter, gone)
    ids = [cohort.rows[row].slide_id for row in vectors]
    stacked = np.stack(list(vectors.values()))
    about = {
        "method": np.array(bundle.config.method),
        "model_sha256": np.array(bundle.weights_sha256),
        "cohort_sha256": np.array(hashlib.sha256(cohort.table.read_bytes()).hexdigest()),
    }
    try:
        write_vectors(request.out, ids, stacked, about)
    except OSError as error:
        raise JobError(f"'{request.out}' cannot be written: {error.strerror}.") from error
    return Embedded(request.out, (len(stacked), stacked.shape[1]), skipped)


def _make_folder(out: Path) -> None:
    """Find out before any slide is encoded whether the file can be written."""
    try:
        make_folder(out.parent)
        probe = aside_of(out)
        set_mark(probe)
        probe.unlink()
    except OSError as error:
        raise JobError(f"'{out}' cannot be written: {error.strerror}.") from error


def _embed(
    bundle: Bundle,
    cohort: Cohort,
    sources: tuple[Source, ...],
    reporter: Reporter,
    gone: Mapping[str, str],
) -> tuple[dict[int, NDArray[np.float32]], dict[str, str]]:
    """Return the (d,) vector of each row that could be read, and why the others could not."""
    vectors: dict[int, NDArray[np.float32]] = {}
    skipped: dict[str, str] = dict(gone)
    for row, source in enumerate(sources):
        slide_id = cohort.rows[row].slide_id
        reporter.progress("Embedding slides", row, len(sources), slide_id)
        try:
            result = predict_source(
                bundle, source, slide_id, keep_features=False, is_explained=False
            )
        except SlideError as error:
            skipped[slide_id] = str(error)
            reporter.log(f"{error} It is left out.", "warning")
        else:
            vectors[row] = result.slide_vector
            reporter.warn_once(result.provenance.get("damaged", ""))
    reporter.progress("Embedding slides", len(sources), len(sources))
    if not vectors:
        last = next(reversed(skipped.values()))
        raise SlideError(f"None of the {len(skipped):,} slides could be embedded. {last}")
    return vectors, skipped


class _Opened:
    """Slides to close."""

    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = sources

    def close(self) -> None:
        for source in self._sources:
            if isinstance(source, TileSource):
                source.slide.close()
