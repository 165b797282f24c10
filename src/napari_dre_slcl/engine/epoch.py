"""The steps of one epoch: draw slides and tiles, read ahead, step, note, save now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.feature_source import FeatureLoader
from napari_dre_slcl.engine.lost_slides import LostSlides, Request
from napari_dre_slcl.engine.read_ahead import ReadAhead
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.shards import shards_of
from napari_dre_slcl.engine.world import SOLO, World
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.methods.dre_slcl import Clock
from napari_dre_slcl.methods.sampling import draw_batches, draw_fresh
from napari_dre_slcl.methods.slide_batch import SlideBatch, SlideTruth
from napari_dre_slcl.model.seeds import seeded
from napari_dre_slcl.tiles import TileLoader

__all__ = ["Draw", "EpochSteps", "draw_epoch"]


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

    def only(self, is_wanted: Callable[[int], bool]) -> Draw:
        """Return the draw with some of its slides."""
        kept = [
            (slide, fresh)
            for slide, fresh in zip(self.slides, self.fresh, strict=True)
            if is_wanted(slide)
        ]
        return Draw(tuple(slide for slide, _ in kept), tuple(fresh for _, fresh in kept))


def draw_epoch(
    config: DreSlclConfig,
    truth: SlideTruth,
    slides: Sequence[int],
    tile_count: Callable[[int], int],
    n_slides: int,
    epoch: int,
    fresh_tiles: int,
    owned: range | None = None,
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
    n_slides : int
        All there are, those that take no part as well.
    epoch : int
        From 1.
    fresh_tiles : int
        Per slide.
    owned : range, optional
        Slides to return the draws of, as many draws as of all, which is the default.
    """
    settings = config.training
    shards: Sequence[int] = ()
    if settings.shards > 1:
        part = shards_of([tile_count(slide) for slide in range(n_slides)], settings.shards)
        shards = [part[slide] for slide in slides]
    batches = draw_batches(
        [truth.patients[slide] for slide in slides],
        [truth.sites[slide] for slide in slides],
        settings.slides_per_batch,
        seeded(settings.seed, "epoch", epoch),
        one_slide_per_patient=settings.one_slide_per_patient,
        within_site=settings.within_site,
        shards=shards,
    )
    wanted = [slide if owned is None or slide in owned else None for slide in slides]
    chosen = [
        tuple(slide for at in batch if (slide := wanted[at]) is not None) for batch in batches
    ]
    scratch = torch.empty(0, dtype=torch.int64)

    def fresh(slide: int) -> Tensor:
        generator = seeded(settings.seed, "fresh", epoch, slide)
        return draw_fresh(tile_count(slide), fresh_tiles, generator, scratch)

    return [Draw(batch, tuple(map(fresh, batch))) for batch in chosen]


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
    world : World
        The processes that take each step together.
    """

    loader: TileLoader | FeatureLoader
    lost: LostSlides
    state: RunState
    clock: Clock
    world: World = SOLO

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
            All of the epoch, each with the slides of this process.
        before_step : callable
            Called while the run stands between two steps; may raise to end it.
        take : callable
            Takes a step. A draw whose slides are all lost is passed over.
        """
        with closing(ReadAhead(self.loader)) as ahead:
            while self.state.position < len(draws):
                before_step()
                batch = self._join(*self._read(draws, ahead))
                self.state.position += 1
                if batch is not None:
                    take(batch)

    def _read(
        self, draws: Sequence[Draw], ahead: ReadAhead
    ) -> tuple[Draw, NDArray[np.generic] | None, str]:
        """Read this process's part of the draw that is due.

        Returns
        -------
        (Draw, ndarray or None, str)
            What is left of it, its tiles, and why the training cannot go on, if it cannot.
        """
        try:
            while (due := self._present(draws[self.state.position])).slides:
                tiles = self._try_to_read(due, draws, ahead)
                if tiles is not None:
                    return due, tiles, ""
        except SlideError as error:  # too few slides are left
            if self.world.size == 1:
                raise
            return Draw((), ()), None, str(error)
        return due, None, ""

    def _try_to_read(
        self, due: Draw, draws: Sequence[Draw], ahead: ReadAhead
    ) -> NDArray[np.generic] | None:
        """Return the tiles of a draw; None where a slide of it was lost just now."""
        requests, epoch = due.requests(), self.state.epoch

        def announce() -> Iterator[list[Request]]:
            for draw in map(self._present, draws[self.state.position :]):
                if draw.slides:
                    yield draw.requests()

        try:
            with self.clock("reading"):
                tiles = ahead.next(announce)
        except SlideError:
            ahead.close()
            return None if self.lost.find(requests, epoch) else self.loader.load(requests)
        if self.lost.find_white(requests, epoch):
            ahead.close()
            return None
        return tiles

    def _join(
        self, draw: Draw, tiles: NDArray[np.generic] | None, problem: str
    ) -> SlideBatch | None:
        """Return the batch, with what the other processes have of it; None where nobody has any."""
        batch = SlideBatch(
            draw.slides,
            draw.fresh,
            torch.empty(0) if tiles is None else torch.from_numpy(tiles),
        )
        if self.world.size == 1:
            return batch if batch.slides else None
        told = self.world.exchange(
            {
                "slides": batch.slides,
                "viewed": batch.own_viewed(),
                "lost": self.lost.news(),
                "problem": problem,
            }
        )
        self.lost.learn([one["lost"] for one in told], [one["problem"] for one in told])
        of_ranks = tuple(tuple(one["slides"]) for one in told)
        viewed = tuple(tuple(one["viewed"]) for one in told)
        return replace(batch, of_ranks=of_ranks, viewed=viewed) if any(of_ranks) else None

    def _present(self, draw: Draw) -> Draw:
        return draw.only(lambda slide: not self.lost.is_lost(slide))
