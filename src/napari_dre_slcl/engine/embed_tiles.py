"""One slide becomes one feature file: its tiles through a tile encoder that is not trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.cohort.feature_store import (
    FeatureFile,
    FeatureOrigin,
    open_features,
    write_features,
)
from napari_dre_slcl.config import TilingConfig
from napari_dre_slcl.engine.damage import left_out_warning
from napari_dre_slcl.engine.encode_source import encode_source
from napari_dre_slcl.engine.encoder_snapshot import load_snapshot
from napari_dre_slcl.engine.findings import warn_of_findings
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.slide_work import SlideItem
from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide import open_slide
from napari_dre_slcl.tiles import TileGrid, TileSource, tile_slide
from napari_dre_slcl.tiles.wording import tiles_text

__all__ = ["EmbedWork", "SlideToEmbed", "is_of"]


@dataclass(frozen=True, slots=True)
class EmbedWork:
    """Write the features of a slide's tiles.

    Parameters
    ----------
    encoders : Path
        Folder of encoders, as `save_snapshot` fills it.
    origin : FeatureOrigin
        What the features are made from.
    input_px : int
        Edge of the encoder's input.
    tiling : TilingConfig
        Where tiles lie.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    part_tiles : int
        Slides of more tiles are done in parts.
    token : Path, optional
        File that is seen where the output folder is the right one.
    """

    encoders: Path
    origin: FeatureOrigin
    input_px: int
    tiling: TilingConfig
    device: str = "auto"
    part_tiles: int = 20_000
    token: Path | None = None

    @property
    def identity(self) -> str:
        """Equal where the same slide gives the same features."""
        facts = [asdict(self.origin), self.input_px, self.tiling.model_dump(mode="json")]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def is_kept(self, item: SlideItem) -> bool:
        """Return whether the slide's feature file is there, whole, and of this encoder."""
        if not item.output.is_file():
            return False
        try:
            return is_of(open_features(item.output), self.origin, item.mpp)
        except SlideError:  # a damaged file is made again
            return False

    @contextmanager
    def opened(
        self, item: SlideItem, reporter: Reporter, grid: TileGrid | None = None
    ) -> Iterator[SlideToEmbed]:
        """Open a slide; its tiles are found unless they are given."""
        with open_slide(item.path, mpp=item.mpp, mpp_source=item.mpp_source) as slide:
            if grid is None:
                reporter.progress("Finding tissue", 0, 1, item.slide_id)
                source = TileSource(slide, tile_slide(slide, self.tiling))
                reporter.log(f"{item.slide_id}: {tiles_text(source.grid)}.")
                warn_of_findings([slide.info], reporter)
                reporter.warn_once(left_out_warning(source))
            else:
                source = TileSource(slide, grid)
            yield SlideToEmbed(self, item, source)


@dataclass(frozen=True, slots=True)
class SlideToEmbed:
    """An open slide, as `EmbedWork` has it."""

    work: EmbedWork
    item: SlideItem
    source: TileSource

    @property
    def grid(self) -> TileGrid:
        """Its tiles."""
        return self.source.grid

    @property
    def tiles(self) -> NDArray[np.int64]:
        """All of them."""
        return np.arange(len(self.source.grid))

    def encode(
        self, tiles: NDArray[np.int64], on_progress: Callable[[int, int], None]
    ) -> tuple[Tensor, str]:
        """Return (n, d) features, and what is to tell of damaged tiles."""
        work = self.work
        encoder = load_snapshot(work.encoders, work.origin.encoder_sha256, work.device)
        return encode_source(encoder, self.source, work.input_px, tiles, on_progress)

    def write(self, features: Tensor, damaged: str) -> None:
        """Write the feature file; raises `DamagedSlideError` where tiles were read as white."""
        if damaged:
            raise DamagedSlideError(f"{damaged} No features were written.")
        write_features(
            self.item.output,
            features.numpy(),
            self.grid.yx,
            self.work.origin,
            self.grid.size_px,
            self.grid.mpp,
        )


def is_of(file: FeatureFile, origin: FeatureOrigin, mpp: float | None) -> bool:
    """Return whether a feature file was made by an encoder, at its tile size.

    Parameters
    ----------
    file : FeatureFile
        What the file says.
    origin : FeatureOrigin
        What it should be made from.
    mpp : float or None
        µm per level-0 pixel of the slide, where it is given.
    """
    attrs = file.attrs
    found = (attrs.get("encoder_sha256"), attrs.get("mpp"), attrs.get("patch_size"))
    is_right = found == (origin.encoder_sha256, origin.mpp, origin.tile_px)
    return is_right and (mpp is None or attrs.get("level0_mpp") == mpp)
