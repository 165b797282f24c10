"""One slide file or feature file becomes one result file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.allocator import keep_freed_memory
from napari_dre_slcl.cohort.feature_store import FEATURE_SUFFIXES
from napari_dre_slcl.engine.damage import left_out_warning
from napari_dre_slcl.engine.device import choose_device
from napari_dre_slcl.engine.encode_source import encode_source
from napari_dre_slcl.engine.feature_source import FeatureSource
from napari_dre_slcl.engine.findings import warn_of_findings
from napari_dre_slcl.engine.known_features import features_key, take_over
from napari_dre_slcl.engine.predict_source import predict_source
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.slide_work import OpenedSlide, SlideItem
from napari_dre_slcl.errors import ModelError, ResultError, SlideError
from napari_dre_slcl.model.bundle import Bundle, load_bundle
from napari_dre_slcl.results import SlideResult, load_result, save_result
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.slide.urls import remote_name
from napari_dre_slcl.tiles import TileGrid, TileSource, load_tissue_mask, tile_slide
from napari_dre_slcl.tiles.wording import tiles_text

__all__ = ["PredictWork", "load_onto", "opened_file"]


@dataclass(frozen=True, slots=True)
class PredictWork:
    """Predict a slide with a trained model.

    Parameters
    ----------
    model : Path
        Model folder, or a run folder that holds one.
    model_sha256 : str
        Hash of its weights.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    min_tissue : float, optional
        Share of a tile that must be tissue; by default that of the training.
    mask : Path, optional
        Tissue mask of the one slide.
    part_tiles : int
        Slides of more tiles are done in parts.
    token : Path, optional
        File that is seen where the output folder is the right one.
    has_ids : bool
        Whether slides have names of a table; else a result is named after the slide's file.
    """

    model: Path
    model_sha256: str
    device: str = "auto"
    min_tissue: float | None = None
    mask: Path | None = None
    part_tiles: int = 20_000
    token: Path | None = None
    has_ids: bool = False

    def name_of(self, item: SlideItem) -> str:
        """Return the name that a result bears."""
        return item.slide_id if self.has_ids else Path(remote_name(item.path)).stem

    @property
    def identity(self) -> str:
        """Equal where the same slide gives the same result."""
        mask = "" if self.mask is None else _file_and_hash(self.mask)
        return f"{self.model_sha256} {self.min_tissue} {mask}"

    def is_kept(self, item: SlideItem) -> bool:
        """Return whether the slide's result is there, whole, of this model and its settings."""
        if not item.output.is_file():
            return False
        try:
            result = load_result(item.output, with_features=False)
        except ResultError:  # a damaged file is made again
            return False
        about = result.provenance
        least = about.get("least tissue")
        return (
            about.get("model_sha256") == self.model_sha256
            and (item.mpp is None or result.mpp == item.mpp)
            and (self.min_tissue is None or least in (None, f"{self.min_tissue:.0%}"))
            and about.get("tissue mask", "automatic") == "automatic"
        )

    @contextmanager
    def opened(
        self, item: SlideItem, reporter: Reporter, grid: TileGrid | None = None
    ) -> Iterator[OpenedSlide]:
        """Open a slide; its tiles are found unless they are given."""
        bundle = _kept_bundle(self.model, self.model_sha256, self.device)
        with opened_file(bundle, self, item, reporter, grid) as slide:
            yield slide


def load_onto(model: Path, device: str) -> Bundle:
    """Load a model onto a device; raises `DreSlclError` where either cannot be used."""
    bundle = load_bundle(model)
    where = choose_device(device)
    bundle.net.to(where)
    if where.type == "cpu":
        keep_freed_memory()
    return bundle


@lru_cache(maxsize=1)
def _kept_bundle(model: Path, sha256: str, device: str) -> Bundle:
    bundle = load_onto(model, device)
    if bundle.weights_sha256 != sha256:
        raise ModelError(f"The model '{model}' is another one here than where the work began.")
    return bundle


@contextmanager
def opened_file(
    bundle: Bundle,
    work: PredictWork,
    item: SlideItem,
    reporter: Reporter,
    grid: TileGrid | None = None,
) -> Iterator[OpenedSlide]:
    """Open what is to be predicted.

    Parameters
    ----------
    bundle : Bundle
        The model, on the device that is to compute.
    work : PredictWork
        Settings.
    item : SlideItem
        The slide, or the feature file in its place.
    reporter : Reporter
        Told what looks odd.
    grid : TileGrid, optional
        Its tiles, where they are known.

    Raises
    ------
    DreSlclError
        If the file or the mask cannot be used.
    """
    if Path(remote_name(item.path)).suffix.lower() in FEATURE_SUFFIXES:
        yield FeaturesToPredict(bundle, work, item, reporter)
        return
    if bundle.feature_dim is not None:
        raise SlideError(
            f"This model was trained on feature files of {bundle.feature_dim} numbers per tile, it "
            f"cannot see '{remote_name(item.path)}'. Give the slide's feature file (.h5)."
        )
    tiling = bundle.config.tiling
    if work.min_tissue is not None:
        tiling = tiling.model_copy(update={"min_tissue": work.min_tissue})
    if grid is None:
        reporter.progress("Finding tissue", 0, 1, remote_name(item.path))
    mask = None if work.mask is None else load_tissue_mask(work.mask)
    with open_slide(item.path, mpp=item.mpp, mpp_source=item.mpp_source) as slide:
        if grid is None:
            source = TileSource(slide, tile_slide(slide, tiling, mask))
            reporter.log(f"{remote_name(item.path)}: {tiles_text(source.grid)}.")
            warn_of_findings([slide.info], reporter)
            reporter.warn_once(left_out_warning(source))
        else:
            source = TileSource(slide, grid)
        provenance = {
            "tissue mask": "automatic" if work.mask is None else _file_and_hash(work.mask),
            "tissue tiles": tiles_text(source.grid),
            "least tissue": f"{tiling.min_tissue:.0%}",
        }
        yield SlideToPredict(
            bundle, work, item, reporter, source, provenance, _earlier(item.output)
        )


@dataclass(frozen=True, slots=True, eq=False)
class SlideToPredict:
    """An open slide whose tiles have been found."""

    bundle: Bundle
    work: PredictWork
    item: SlideItem
    reporter: Reporter
    source: TileSource
    provenance: dict[str, str]
    earlier: SlideResult | None

    @property
    def grid(self) -> TileGrid:
        """Its tiles."""
        return self.source.grid

    @property
    def tiles(self) -> NDArray[np.int64]:
        """Those whose feature an earlier result does not have."""
        key = features_key(self.bundle, self.source)
        known, _ = take_over(self.earlier, key, self.source.grid)
        return np.setdiff1d(np.arange(len(self.source.grid)), known)

    def encode(
        self, tiles: NDArray[np.int64], on_progress: Callable[[int, int], None]
    ) -> tuple[Tensor, str]:
        """Return (n, d) features, and what is to tell of damaged tiles."""
        input_px = self.bundle.config.encoder.input_px
        return encode_source(self.bundle.net.encoder, self.source, input_px, tiles, on_progress)

    def write(self, features: Tensor, damaged: str) -> None:
        """Aggregate, predict, and write the result."""
        result = predict_source(
            self.bundle,
            self.source,
            self.work.name_of(self.item),
            earlier=self.earlier,
            encode=lambda tiles: (features, damaged),
        )
        result.provenance.update(self.provenance)
        name = remote_name(self.item.path)
        self.reporter.log(f"{name}: encoded {result.provenance['encoded']}.")
        self.reporter.warn_once(result.provenance.get("damaged", ""))
        save_result(result, self.item.output)


@dataclass(frozen=True, slots=True, eq=False)
class FeaturesToPredict:
    """The feature file of a slide; its features are there, so none are encoded."""

    bundle: Bundle
    work: PredictWork
    item: SlideItem
    reporter: Reporter

    @property
    def grid(self) -> TileGrid | None:
        """Not known."""
        return None

    @property
    def tiles(self) -> NDArray[np.int64]:
        """None."""
        return np.empty(0, np.int64)

    def encode(
        self, tiles: NDArray[np.int64], on_progress: Callable[[int, int], None]
    ) -> tuple[Tensor, str]:
        """Do nothing."""
        return Tensor(), ""

    def write(self, features: Tensor, damaged: str) -> None:
        """Aggregate, predict, and write the result."""
        path, name = self.item.path, remote_name(self.item.path)
        if self.work.mask is not None or self.work.min_tissue is not None:
            self.reporter.warn_once(
                "A feature file has its tiles already: tissue mask and least tissue are not used."
            )
        result = predict_source(
            self.bundle,
            FeatureSource.open(path),
            self.work.name_of(self.item),
            lambda done, total: self.reporter.progress(
                "Reading features", done, total, remote_name(path)
            ),
        )
        self.reporter.log(f"{name}: read {result.provenance['encoded']}.")
        if "tiles" in result.provenance:
            self.reporter.log(f"{name}: {result.provenance['tiles']} There is no map.", "warning")
        save_result(result, self.item.output)


def _file_and_hash(path: Path) -> str:
    return f"{path.name}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def _earlier(path: Path) -> SlideResult | None:
    """Return the result that lies there; a damaged one is as good as none, it is written anew."""
    try:
        return load_result(path)
    except ResultError:
        return None
