"""Draws random views of slides from bags of frozen tile features."""

from __future__ import annotations

import torch
from torch import Tensor

from napari_dre_slcl.config.giga_ssl import GigaSslConfig
from napari_dre_slcl.methods.bag_method import Bags
from napari_dre_slcl.model.slide_views import draw_tiles, move_tiles

__all__ = ["ViewSampler"]


class ViewSampler:
    """A view of a slide: a few tiles of one augmented copy, moved as a whole.

    Parameters
    ----------
    bags : Bags
        The slides. Nothing is copied, as the features of a cohort can fill the memory; picking
        rows slide by slide costs about a hundredth of a training step.
    positions : sequence of (Tensor or None)
        Per slide (n_tiles, 2) float centres in cells; None where the aggregator needs none.
    config : GigaSslConfig
        Tiles per view and range of scales.
    """

    def __init__(
        self, bags: Bags, positions: tuple[Tensor | None, ...], config: GigaSslConfig
    ) -> None:
        copies = bags.copies or ((),) * len(bags)
        # The stored features are one copy more: they are what the network meets when it predicts.
        self._copies = tuple((own, *more) for own, more in zip(bags.features, copies, strict=True))
        self._positions = tuple(place for place in positions if place is not None)
        self._tile_counts = torch.tensor([len(own) for own in bags.features])
        self._copy_counts = torch.tensor([len(copies) for copies in self._copies])
        self._config = config

    def draw(self, slides: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Draw one view of each slide.

        Parameters
        ----------
        slides : Tensor
            (B,) int64 numbers of slides; one may occur several times.
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        features : Tensor
            (B, k, d) on the CPU.
        positions : Tensor or None
            (B, k, 2) float centres in cells, moved at random.
        """
        tiles = draw_tiles(self._tile_counts[slides], self._config.tiles_per_view, generator)
        chance = torch.rand(len(slides), generator=generator)
        copies = (chance * self._copy_counts[slides]).long().tolist()
        numbers = slides.tolist()
        features = torch.stack(
            [
                self._copies[slide][copy][rows].float()
                for slide, copy, rows in zip(numbers, copies, tiles, strict=True)
            ]
        )
        if not self._positions:
            return features, None
        places = [self._positions[slide][rows] for slide, rows in zip(numbers, tiles, strict=True)]
        scales = (self._config.scale_min, self._config.scale_max)
        return features, move_tiles(torch.stack(places), scales, generator)
