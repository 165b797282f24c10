"""The interface of methods that learn from bags of frozen tile features.

Knows tensors; where features come from, who saves and who cancels is the engine's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from napari_dre_slcl.model.slide_net import SlideNet

__all__ = ["BagMethod", "BagTruth", "Bags", "OnEpoch", "Validate"]

OnEpoch = Callable[[int, int, dict[str, float]], None]
"""Called after each pass with its number from 1, how many there are, and the mean losses by name.

It may raise to end the training."""

Validate = Callable[[SlideNet], dict[str, float]]
"""Called with the network after a pass; returns ``val/auc/<task>``."""


@dataclass(frozen=True, slots=True, eq=False)
class Bags:
    """Tile features of n slides.

    Parameters
    ----------
    features : tuple of Tensor
        One (n_tiles, d) float32 on the CPU per slide, as the frozen encoder made them.
    rowcol : tuple of Tensor or None
        One (n_tiles, 2) int64 per slide: rows and columns on the tile grid; None where unknown.
    copies : tuple of tuple of Tensor
        Per slide further (n_tiles, d) features of the same tiles, each made with one augmentation
        for all tiles; empty where there are none.
    """

    features: tuple[Tensor, ...]
    rowcol: tuple[Tensor | None, ...]
    copies: tuple[tuple[Tensor, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    @property
    def dim(self) -> int:
        """Width d of a tile feature."""
        return int(self.features[0].shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class BagTruth:
    """What is known of the slides of `Bags`, row i for slide i.

    Parameters
    ----------
    labels : Tensor
        (n, n_tasks) int64 class numbers, -1 where missing.
    task_names : tuple of str
        Names of the tasks, for the log.
    patients : tuple of str
        Of each slide; inner folds keep a patient together.
    """

    labels: Tensor
    task_names: tuple[str, ...]
    patients: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.labels)


class BagMethod(Protocol):
    """A method on frozen tile features, built by `make_bag_method`.

    Attributes
    ----------
    copies_wanted : int
        Augmented copies of the features that it would like where there are pixels.
    """

    copies_wanted: int

    @property
    def net(self) -> SlideNet:
        """What is saved, and predicts."""
        ...

    def fit(
        self, bags: Bags, truth: BagTruth, on_epoch: OnEpoch, validate: Validate | None = None
    ) -> None:
        """Train ``net`` on the training slides; the same seed gives the same network.

        Parameters
        ----------
        bags : Bags
            Training slides only.
        truth : BagTruth
            Their labels.
        on_epoch : callable
            Called after each pass; may raise.
        validate : callable, optional
            Called with the network each epoch where the method learns from labels.
        """
        ...
