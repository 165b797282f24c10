"""The frozen tile features of many slides, out of feature files or through the tile encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.encode_source import encode_source
from napari_dre_slcl.engine.feature_source import FeatureSource, source_name
from napari_dre_slcl.engine.matching_features import matching_features
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.tile_positions import tile_positions
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.methods.bag_method import Bags
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.model.slide_augmentation import SlideView
from napari_dre_slcl.model.tile_encoder import TileEncoder
from napari_dre_slcl.tiles import TileSource

__all__ = ["ReadBags", "read_bags"]

_LEAST = 2


@dataclass(frozen=True, slots=True, eq=False)
class ReadBags:
    """What could be read.

    Parameters
    ----------
    bags : Bags
        Of the slides that could be.
    positions : tuple of int
        Which of the rows that were asked for these are.
    lost : dict of str
        The others, by the name of their file, each with the reason.
    """

    bags: Bags
    positions: tuple[int, ...]
    lost: dict[str, str]


def read_bags(
    config: DreSlclConfig,
    prepared: PreparedCohort,
    rows: Sequence[int],
    encoder: TileEncoder | FeatureAdapter,
    reporter: Reporter,
    n_copies: int = 0,
) -> ReadBags:
    """Read or encode the tiles of some slides.

    Parameters
    ----------
    config : DreSlclConfig
        Input size, tint, seed, ``features.fill_from``.
    prepared : PreparedCohort
        The slides.
    rows : sequence of int
        Rows of the cohort.
    encoder : TileEncoder or FeatureAdapter
        On its device; is not trained.
    reporter : Reporter
        Told the progress and what cannot be read; may stop.
    n_copies : int
        Augmented copies of each slide beside the slide itself; only where there are pixels.

    Raises
    ------
    SlideError
        If fewer than two slides can be read.
    """
    known = matching_features(config, prepared, rows, encoder, reporter)
    found: dict[int, tuple[Tensor, Tensor | None, tuple[Tensor, ...]]] = {}
    lost: dict[str, str] = {}
    for position, row in enumerate(rows):
        source, slide_id = prepared.sources[row], prepared.cohort.rows[row].slide_id
        is_stored = isinstance(source, FeatureSource)
        stage = "Reading features" if is_stored else "Encoding tiles"
        reporter.progress(stage, position, len(rows), slide_id)
        try:
            if isinstance(source, FeatureSource):
                stored = prepared.memory.read(source.file)
                with torch.no_grad():
                    features = encoder(torch.from_numpy(stored.features))
                found[position] = (features, tile_positions(stored), ())
            elif isinstance(source, TileSource) and isinstance(encoder, TileEncoder):
                walk = _SlideEncoding(config, encoder, source, slide_id, reporter)
                ready = known(position)
                features = walk.encode() if ready is None else torch.from_numpy(ready)
                copies = tuple(walk.encode(copy + 1) for copy in range(n_copies))
                found[position] = (features, torch.from_numpy(source.grid.rowcol), copies)
        except SlideError as error:
            lost[source_name(source)] = str(error)
            reporter.log(f"{error} Training goes on without this slide.", "warning")
    if len(found) < _LEAST:
        why = f"Training stopped because fewer than {_LEAST} training slides can be read."
        raise SlideError(f"{next(reversed(lost.values()), '')} {why}")
    features_of, rowcol_of, copies_of = zip(*found.values(), strict=True)
    copies_kept = copies_of if n_copies and any(copies_of) else ()
    return ReadBags(Bags(features_of, rowcol_of, copies_kept), tuple(found), lost)


@dataclass(frozen=True, slots=True)
class _SlideEncoding:
    """Encodes the tiles of one slide, as they are or in a view."""

    config: DreSlclConfig
    encoder: TileEncoder
    source: TileSource
    slide_id: str
    reporter: Reporter

    def encode(self, copy: int = 0) -> Tensor:
        settings = self.config.training
        view = None
        if copy:
            generator = seeded(settings.seed, "copy", self.slide_id, copy)
            view = SlideView(generator, settings.tint)
        features, damaged = encode_source(
            self.encoder,
            self.source,
            self.config.encoder.input_px,
            np.arange(len(self.source.grid)),
            view=view,
        )
        self.reporter.warn_once(damaged)
        return features
