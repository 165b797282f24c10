"""Encode tiles without gradient for the memory bank: every one, or those not seen for longest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.engine.damage import damage_warning
from napari_dre_slcl.engine.feature_source import FeatureLoader, source_name, tile_count
from napari_dre_slcl.engine.lost_slides import LostSlides
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.methods.dre_slcl import DreSlcl
from napari_dre_slcl.tiles import TileLoader

__all__ = ["EncodingPass"]

_FILL_CHUNK = 256
_Chunk = tuple[int, Tensor]
_Store = Callable[[int, Tensor, Tensor], None]

Tiles = Generator[NDArray[np.generic], None, None]


@dataclass(frozen=True, slots=True)
class EncodingPass:
    """One way through tiles of the training slides with the encoder as it is.

    Tiles are encoded in the same groups whether or not the pass was broken off before, so that the
    features are the same to the last bit.

    Parameters
    ----------
    method : DreSlcl
        Encoder and bank.
    loader : TileLoader or FeatureLoader
        Reads the training slides.
    lost : LostSlides
        Told of slides that cannot be read.
    reporter : Reporter
        Told the progress; may stop the run.
    stage : str
        Name of the stage.
    epoch : int
        The one under way, 0 for the first fill.
    owned : range, optional
        The slides of this process; all by default.
    """

    method: DreSlcl
    loader: TileLoader | FeatureLoader
    lost: LostSlides
    reporter: Reporter
    stage: str
    epoch: int
    owned: range | None = None

    def fill(self, known: Callable[[int], NDArray[np.float32] | None] = lambda slide: None) -> None:
        """Encode every tile that the bank's new generation lacks, and tell of damaged tiles.

        Parameters
        ----------
        known : callable
            Slide -> (n, d) features of all its tiles that need not be computed, or None.
        """
        bank = self.method.bank
        chunks: list[_Chunk] = []
        for slide in self.lost.present():
            if self.owned is not None and slide not in self.owned:
                continue
            missing = set(bank.missing(slide).tolist())
            if missing and (features := known(slide)) is not None:
                bank.fill(slide, torch.arange(bank.tile_count(slide)), torch.from_numpy(features))
                continue
            groups = torch.split(torch.arange(bank.tile_count(slide)), _FILL_CHUNK)
            chunks += [(slide, tiles) for tiles in groups if missing.intersection(tiles.tolist())]
        self._encode(chunks, bank.fill)
        self.tell_damage(self.loader.damaged)

    def refresh_stalest(self, n: int, step: int) -> None:
        """Encode the tiles anew that were written longest ago.

        Parameters
        ----------
        n : int
            How many, of this process's slides.
        step : int
            Counts as the time of writing.
        """
        bank, device = self.method.bank, self.method.device
        chunks = [
            (slide, part)
            for slide, tiles in bank.stalest(n)
            if not self.lost.is_lost(slide)
            for part in torch.split(tiles, _FILL_CHUNK)
        ]

        def store(slide: int, tiles: Tensor, features: Tensor) -> None:
            self.method.refresh_tiles(slide, tiles, features.to(device), step)

        self._encode(chunks, store)

    def _encode(self, chunks: Sequence[_Chunk], store: _Store) -> None:
        done = 0
        while done < len(chunks):
            done = self._encode_until_one_fails(chunks, store, done)
            if done < len(chunks):
                slide, tiles = chunks[done]
                if not self.lost.find([(slide, tiles.numpy())], self.epoch):
                    # It can be read after all, alone.
                    read = self.loader.load([(slide, tiles.numpy())])
                    store(slide, tiles, self.method.encode_tiles(torch.from_numpy(read)))
                done += 1
        self.reporter.progress(self.stage, len(chunks), len(chunks))

    def _encode_until_one_fails(self, chunks: Sequence[_Chunk], store: _Store, begun: int) -> int:
        """Return the position of the chunk that cannot be read, or the number of chunks."""
        due = [at for at in range(begun, len(chunks)) if not self.lost.is_lost(chunks[at][0])]
        read: Tiles = self.loader.prefetch(_requests(chunks[at] for at in due))
        with closing(read) as batches:
            for at in due:
                self.reporter.progress(self.stage, at, len(chunks))
                try:
                    tiles = torch.from_numpy(next(batches))
                except SlideError:
                    return at
                store(*chunks[at], self.method.encode_tiles(tiles))
        return len(chunks)

    def tell_damage(self, found: Mapping[int, Collection[int]]) -> None:
        """Warn of damaged tiles, and leave out slides with too many; each is told once.

        Parameters
        ----------
        found : mapping of int to collection of int
            Slide -> its damaged tiles.
        """
        for slide, damaged in found.items():
            if self.lost.is_lost(slide):
                continue
            source = self.loader.sources[slide]
            try:
                sentence = damage_warning(source_name(source), len(damaged), tile_count(source))
            except DamagedSlideError as error:
                self.lost.lose(slide, str(error), self.epoch)
            else:
                self.reporter.warn_once(sentence)


def _requests(chunks: Iterator[_Chunk]) -> Iterator[list[tuple[int, NDArray[np.int64]]]]:
    for slide, tiles in chunks:
        yield [(slide, tiles.numpy())]
