"""Training slides that vanish or break while a run is under way: left out, counted, told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.engine.damage import MAX_DAMAGED_SHARE
from napari_dre_slcl.engine.feature_source import FeatureLoader, source_name, tile_count
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.run_state import LostSlide, RunState
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.tiles import TileLoader

__all__ = ["LostSlides"]

_LEAST = 2

Request = tuple[int, NDArray[np.int64]]


class LostSlides:
    """Decides which training slides take part.

    Parameters
    ----------
    loader : TileLoader or FeatureLoader
        Reads the training slides.
    state : RunState
        Remembers who is lost, and which tiles were damaged from the start.
    reporter : Reporter
        Told once of each lost slide.
    """

    def __init__(
        self, loader: TileLoader | FeatureLoader, state: RunState, reporter: Reporter
    ) -> None:
        self._loader = loader
        self._state = state
        self._reporter = reporter
        self._news: dict[int, LostSlide] = {}

    def present(self) -> list[int]:
        """Return the slides that can still be read."""
        return [slide for slide in range(len(self._loader.sources)) if not self.is_lost(slide)]

    def present_at_start(self, epoch: int) -> list[int]:
        """Return the slides that could be read when an epoch began."""
        lost = self._state.lost
        return [
            slide
            for slide in range(len(self._loader.sources))
            if slide not in lost or lost[slide].epoch >= epoch > 0
        ]

    def is_lost(self, slide: int) -> bool:
        """Whether a slide takes no part any more."""
        return slide in self._state.lost

    def lose(self, slide: int, reason: str, epoch: int) -> None:
        """Leave a slide out from here on.

        Raises
        ------
        SlideError
            If fewer than two training slides are left.
        """
        if self.is_lost(slide):
            return
        self._note(slide, LostSlide(epoch=epoch, sentence=reason))
        self._news[slide] = self._state.lost[slide]

    def _note(self, slide: int, lost: LostSlide) -> None:
        self._state.lost[slide] = lost
        if len(self.present()) < _LEAST:
            raise SlideError(
                f"{lost.sentence} Training stopped because fewer than {_LEAST} training slides can "
                "be read. Bring the slides back, then go on with 'dre-slcl resume'."
            )
        self._reporter.log(f"{lost.sentence} Training goes on without this slide.", "warning")

    def news(self) -> dict[str, dict[str, Any]]:
        """Return the slides that this process has lost since the last call, for `learn`."""
        news, self._news = self._news, {}
        return {str(slide): lost.model_dump() for slide, lost in news.items()}

    def learn(self, news: Sequence[dict[str, dict[str, Any]]], problems: Sequence[str]) -> None:
        """Leave out what other processes have lost; all must call it with the same news.

        Parameters
        ----------
        news : sequence of dict
            As `news` returned it in each process.
        problems : sequence of str
            Why each cannot go on; empty where it can.

        Raises
        ------
        SlideError
            If one has a problem, or fewer than two training slides are left.
        """
        for problem in problems:
            if problem:
                raise SlideError(problem)
        for told in news:
            for slide, lost in told.items():
                if not self.is_lost(int(slide)):
                    self._note(int(slide), LostSlide.model_validate(lost))

    def find(self, requests: Sequence[Request], epoch: int) -> bool:
        """Leave out the slides of a failed batch that cannot be read; False where all can be."""
        is_any = False
        for request in requests:
            try:
                self._loader.load([request])
            except SlideError as error:
                self.lose(request[0], str(error), epoch)
                is_any = True
        return is_any

    def find_white(self, requests: Sequence[Request], epoch: int) -> bool:
        """Leave out slides of a batch most of whose tiles have become undecodable since the fill.

        A slide on a disk that went away may be read without an error, as white tiles.
        """
        damaged = self._loader.damaged
        is_any = False
        for slide, tiles in requests:
            known = self._state.damaged.get(slide, ())
            newly = set(damaged.get(slide, ())).difference(known).intersection(tiles.tolist())
            if len(newly) > MAX_DAMAGED_SHARE * len(tiles):
                name = source_name(self._loader.sources[slide])
                self.lose(
                    slide, f"Slide '{name}' can no longer be read: {_count(len(newly))}.", epoch
                )
                is_any = True
        return is_any

    def sentences(self) -> dict[str, str]:
        """Return the reason for each lost slide by its file's name."""
        return {
            source_name(self._loader.sources[slide]): lost.sentence
            for slide, lost in self._state.lost.items()
        }

    def count_tiles(self) -> int:
        """Return the number of tiles of lost slides."""
        return sum(tile_count(self._loader.sources[slide]) for slide in self._state.lost)


def _count(n_tiles: int) -> str:
    return f"{n_tiles:,} tile{'s' if n_tiles > 1 else ''} that could be decoded before cannot now"
