"""What is known of the training slides, and the slides of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_dre_slcl.methods.never_negatives import NeverNegatives

__all__ = ["SlideBatch", "SlideTruth", "class_weights"]


@dataclass(frozen=True, slots=True)
class SlideTruth:
    """What is known of the training slides, row i for slide i of the bank.

    Parameters
    ----------
    labels : Tensor
        (n, n_tasks) class numbers, -1 where missing.
    class_weights : tuple of Tensor
        One (C,) per task.
    task_names : tuple of str
        Names of the tasks, for the log.
    reports : Tensor
        (n, text_dim) unit vectors; width 0 without report contrast.
    has_report : Tensor
        (n,) bool.
    is_same : NeverNegatives
        Which slides are never each other's negatives.
    patients, sites : tuple of str
        Of each slide, for drawing batches.
    """

    labels: Tensor
    class_weights: tuple[Tensor, ...]
    task_names: tuple[str, ...]
    reports: Tensor
    has_report: Tensor
    is_same: NeverNegatives
    patients: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlideBatch:
    """The slides of one step.

    Parameters
    ----------
    slides : tuple of int
        Distinct numbers of slides in the bank.
    fresh : tuple of Tensor
        For each slide the (s,) distinct numbers of its fresh tiles.
    tiles : Tensor
        What the encoder reads of the fresh tiles, slide after slide: (sum of s, size, size, 3)
        uint8 pixels, or (sum of s, d_in) stored features.
    of_ranks : tuple of tuple of int, optional
        The slides of every process that takes this step, these ones among them, in the order of
        the processes; the losses are of all these. By default there is one process.
    viewed : tuple of tuple of int, optional
        Those of them that have two fresh tiles or more.
    """

    slides: tuple[int, ...]
    fresh: tuple[Tensor, ...]
    tiles: Tensor
    of_ranks: tuple[tuple[int, ...], ...] = ()
    viewed: tuple[tuple[int, ...], ...] = ()

    def own_viewed(self) -> tuple[int, ...]:
        """Return the slides with two fresh tiles or more, from which two views can be made."""
        pairs = zip(self.slides, self.fresh, strict=True)
        return tuple(slide for slide, fresh in pairs if len(fresh) > 1)

    def tile_keys(self) -> Tensor:
        """Return a number for each fresh tile that no other tile of the cohort has."""
        pairs = zip(self.slides, self.fresh, strict=True)
        return torch.cat([slide * 2**32 + fresh for slide, fresh in pairs])

    def owner(self) -> Tensor:
        """Return for each fresh tile the position of its slide in the batch."""
        counts = torch.tensor([len(fresh) for fresh in self.fresh])
        return torch.repeat_interleave(torch.arange(len(counts)), counts)


def class_weights(labels: Sequence[int], n_classes: int, is_balanced: bool) -> Tensor:
    """Return (C,) weights, n / (C n_c) where balanced, ones otherwise; -1 labels do not count."""
    known = torch.tensor([label for label in labels if label >= 0], dtype=torch.long)
    counts = torch.bincount(known, minlength=n_classes)
    if not is_balanced:
        return torch.ones(n_classes)
    return counts.sum().clamp(min=1) / (n_classes * counts.clamp(min=1).float())
