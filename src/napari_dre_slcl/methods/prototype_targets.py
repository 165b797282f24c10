"""What SLPD pulls a region to: its own centre, and its like in the most similar slide."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_dre_slcl.config.slpd import SlpdConfig
from napari_dre_slcl.model.prototypes import most_similar, slide_centres

__all__ = ["PrototypeTargets", "find_targets", "regions_with_prototypes"]


class PrototypeTargets(NamedTuple):
    """Unit vectors of the teacher's bottleneck that regions are pulled to.

    Parameters
    ----------
    row : Tensor
        (R,) int64 on the CPU, row of each region in what follows; -1 where its slide has too few.
    own : Tensor
        (r, d) nearest centre of the own slide.
    other : Tensor or None
        (r, d) centre of the most similar slide that is closest to the own one; None where no
        other slide has centres.
    """

    row: Tensor
    own: Tensor
    other: Tensor | None


def regions_with_prototypes(slide: Tensor, settings: SlpdConfig) -> Tensor:
    """Return (r,) numbers of the regions whose slides have enough of them.

    Parameters
    ----------
    slide : Tensor
        (R,) int64 slide of each region, rising.
    settings : SlpdConfig
        Least number of regions, and of centres.
    """
    is_enough = torch.bincount(slide) >= max(settings.min_regions, settings.prototypes)
    return is_enough[slide].nonzero().squeeze(1)


def find_targets(
    embedded: Tensor,
    regions: Tensor,
    slide: Tensor,
    settings: SlpdConfig,
    generator: torch.Generator,
) -> PrototypeTargets:
    """Cluster the regions of each slide, and match slides by their centres.

    Parameters
    ----------
    embedded : Tensor
        (r, d) unit rows, the teacher's view of `regions`.
    regions : Tensor
        (r,) from `regions_with_prototypes`, r at least 1.
    slide : Tensor
        (R,) int64 slide of all regions, rising.
    settings : SlpdConfig
        Number of centres, restarts, and whether the most similar slides are asked for.
    generator : torch.Generator
        On the CPU.
    """
    number, sizes = slide[regions].unique_consecutive(return_inverse=True, return_counts=True)[1:]
    m, restarts = settings.prototypes, settings.restarts
    found = slide_centres(embedded, sizes.tolist(), m, restarts, generator)
    centres = F.normalize(found.centres, dim=2)
    number = number.to(embedded.device)
    other = None
    if settings.inter_weight and len(centres) > 1:
        alike = centres[most_similar(centres)]
        closest = (centres @ alike.transpose(1, 2)).argmax(2)
        other = alike[number, closest[number, found.nearest]]
    row = torch.full((len(slide),), -1)
    row[regions] = torch.arange(len(regions))
    return PrototypeTargets(row, centres[number, found.nearest], other)
