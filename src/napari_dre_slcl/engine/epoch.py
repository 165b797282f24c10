"""The steps of one epoch: draw slides and tiles, read ahead, step, note, save now and then."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.feature_source import FeatureLoader
from napari_dre_slcl.engine.lost_slides import LostSlides, Request
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.methods.dre_slcl import Clock, SlideBatch, SlideTruth
from napari_dre_slcl.methods.sampling import draw_batches, draw_fresh
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.tiles import TileLoader

__all__ = ["Draw", "EpochSteps", "draw_epoch"]

Tiles = Generator[NDArray[np.generic], None, None]


@dataclass(frozen=True, slots=True)
class Draw:
    """The slides of a step and their fresh tiles, chosen before any pixel is read."""

    slides: tuple[int, ...]
    fresh: tuple[Tensor, ...]

    def requests(self) -> list[Request]:
        """Return what to ask of a loader."""
        return [
            (slide, fresh.numpy()) for slide, fresh in zip(self.slides, self.fresh, strict=True)
        ]

    def without(self, is_lost: Callable[[int], bool]) -> Draw:
        """Return the draw without lost slides."""
        kept = [
            (slide, fresh)
            for slide, fresh in zip(self.slides, self.fresh, strict=True)
            if not is_lost(slide)
        ]
        return Draw(tuple(slide for slide, _ in kept), tuple(fresh for _, fresh in kept))


def draw_epoch(
    config: DreSlclConfig,
    truth: SlideTruth,
    slides: Sequence[int],
    tile_count: Callable[[int], int],
    epoch: int,
    fresh_tiles: int,
) -> list[Draw]:
    """Return the draws of an epoch, which depend on the seed and the epoch alone.

    Parameters
    ----------
    config : DreSlclConfig
        Batches and seed.
    truth : SlideTruth
        Patients and sites.
    slides : sequence of int
        Those that take part.
    tile_count : callable
        Number of tiles of a slide.
    epoch : int
        From 1.
    fresh_tiles : int
        Per slide.
    """
    settings = config.training
    batches = draw_batches(
        [truth.patients[slide] for slide in slides],
        [truth.sites[slide] for slide in slides],
        settings.slides_per_batch,
        seeded(settings.seed, "epoch", epoch),
        one_slide_per_patient=settings.one_slide_per_patient,
        within_site=settings.within_site,
    )
    chosen = [tuple(slides[position] for position in batch) for batch in batches]
    return [
        Draw(
            batch,
            tuple(
                draw_fresh(
                    tile_count(slide), fresh_tiles, seeded(settings.seed, "fresh", epoch, slide)
                )
                for slide in batch
            ),
        )
        for batch in chosen
    ]


@dataclass(frozen=True, slots=True)
class EpochSteps:
    """Walks through the draws of an epoch from where the run stands.

    Parameters
    ----------
    loader : TileLoader or FeatureLoader
        Reads the training slides.
    lost : LostSlides
        Told of slides that cannot be read.
    state : RunState
        Its ``position`` counts the draws that are done.
    clock : callable
        Told the time of reading.
    """

    loader: TileLoader | FeatureLoader
    lost: LostSlides
    state: RunState
    clock: Clock

    def walk(
        self,
        draws: Sequence[Draw],
        before_step: Callable[[], None],
        take: Callable[[SlideBatch], None],
    ) -> None:
        """Take the step of every draw that is not done yet.

        Parameters
        ----------
        draws : sequence of Draw
            All of the epoch.
        before_step : callable
            Called while the run stands between two steps; may raise to end it.
        take : callable
            Takes a step. A draw whose slides are all lost is passed over.
        """
        while self.state.position < len(draws):
            if not self._walk_until_one_fails(draws, before_step, take):
                draw = self._present(draws[self.state.position])
                if not self.lost.find(draw.requests(), self.state.epoch):
                    self._take(draw, self.loader.load(draw.requests()), take)

    def _walk_until_one_fails(
        self,
        draws: Sequence[Draw],
        before_step: Callable[[], None],
        take: Callable[[SlideBatch], None],
    ) -> bool:
        """Return False where the draw that is due cannot be read, or lost a slide meanwhile."""
        due = [self._present(draw) for draw in draws[self.state.position :]]
        read: Tiles = self.loader.prefetch(_requests(due))
        with closing(read) as batches:
            for draw in due:
                before_step()
                if not draw.slides:
                    self.state.position += 1
                    continue
                try:
                    with self.clock("reading"):
                        tiles = next(batches)
                except SlideError:
                    return False
                if self.lost.find_white(draw.requests(), self.state.epoch):
                    return True  # begin again without them
                self._take(draw, tiles, take)
        return True

    def _take(
        self, draw: Draw, tiles: NDArray[np.generic], take: Callable[[SlideBatch], None]
    ) -> None:
        if draw.slides:
            self.state.position += 1
            take(SlideBatch(draw.slides, draw.fresh, torch.from_numpy(tiles)))

    def _present(self, draw: Draw) -> Draw:
        return draw.without(self.lost.is_lost)


def _requests(draws: Sequence[Draw]) -> Iterator[list[Request]]:
    for draw in draws:
        if draw.slides:
            yield draw.requests()
