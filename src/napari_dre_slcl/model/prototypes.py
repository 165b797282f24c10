"""Centres of each slide's regions, and which slides are alike by them.

Many slides at a time: k-means of a slide of some fifty regions is too small a thing to call a
library for, once for each slide and epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

__all__ = ["SlideCentres", "best_matching", "most_similar", "slide_centres"]

_MOST_STEPS = 10
_CHUNK_VALUES = 2**25  # of the padded slides that are clustered at a time
_CHUNK_ROWS = 64


class SlideCentres(NamedTuple):
    """The prototypes of S slides.

    Parameters
    ----------
    centres : Tensor
        (S, M, d).
    nearest : Tensor
        (n,) int64, of each region the centre of its slide that it belongs to.
    """

    centres: Tensor
    nearest: Tensor


def slide_centres(
    points: Tensor, counts: Sequence[int], m: int, restarts: int, generator: torch.Generator
) -> SlideCentres:
    """Fit k-means to the regions of each slide on its own.

    k-means++ (Arthur & Vassilvitskii 2007) and Lloyd's steps; of the restarts the one with the
    least squared distances counts.

    Parameters
    ----------
    points : Tensor
        (n, d) of the regions, slide after slide.
    counts : sequence of int
        Regions of each slide, at least `m`.
    m : int
        M, centres per slide.
    restarts : int
        Tries per slide.
    generator : torch.Generator
        On the CPU.

    Raises
    ------
    ValueError
        If a slide has fewer regions than centres.
    """
    if counts and min(counts) < m:
        raise ValueError(f"a slide has {min(counts)} regions, too few for {m} centres")
    centres = points.new_empty(len(counts), m, points.shape[1])
    nearest = torch.empty(len(points), dtype=torch.int64, device=points.device)
    size = torch.tensor(counts, dtype=torch.int64)
    first = size.cumsum(0) - size
    for chunk in _chunks(size, points.shape[1]):
        place = torch.arange(int(size[chunk].max()))
        is_there = (place < size[chunk, None]).to(points.device)
        rows = (first[chunk, None] + place.clamp(max=size[chunk, None] - 1)).to(points.device)
        start = _first_centres(points[rows], is_there, m, restarts, generator)
        centres[chunk.to(points.device)], labels = _lloyd(points[rows], is_there, start)
        nearest[rows[is_there]] = labels[is_there]
    return SlideCentres(centres, nearest)


def best_matching(similarity: Tensor) -> float:
    """Return the largest sum of M similarities of a one-to-one matching of (M, M)."""
    values = similarity.double().cpu().numpy()
    return float(values[linear_sum_assignment(values, maximize=True)].sum())


def most_similar(centres: Tensor) -> Tensor:
    """Find the most similar other slide of each slide.

    Two slides are as similar as the best one-to-one matching of their centres (the Hungarian
    method), by cosine.

    Parameters
    ----------
    centres : Tensor
        (S, M, d) unit vectors.

    Returns
    -------
    Tensor
        (S,) int64; on a tie the lower number.

    Raises
    ------
    ValueError
        If there is one slide only.
    """
    n_slides, m = centres.shape[:2]
    if n_slides < 2:
        raise ValueError("similar slides need two slides")
    flat = centres.flatten(0, 1)
    found: list[int] = []
    for begin in range(0, n_slides, _CHUNK_ROWS):
        rows = centres[begin : begin + _CHUNK_ROWS]
        similarity = (rows.flatten(0, 1) @ flat.T).view(len(rows), m, n_slides, m).transpose(1, 2)
        # No matching is better than each centre with its own favourite: most slides are out at once
        bound = torch.minimum(similarity.amax(3).sum(2), similarity.amax(2).sum(2)).cpu()
        bound[torch.arange(len(rows)), torch.arange(begin, begin + len(rows))] = float("-inf")
        found += [_best(one.cpu(), limit) for one, limit in zip(similarity, bound, strict=True)]
    return torch.tensor(found, device=centres.device)


def _best(similarity: Tensor, bound: Tensor) -> int:
    """Return which of (S, M, M) has the best matching, given (S,) upper bounds."""
    best, number = float("-inf"), -1
    limits, order = bound.sort(descending=True, stable=True)
    for limit, candidate in zip(limits.tolist(), order.tolist(), strict=True):
        if limit < best - 1e-6:
            break
        value = best_matching(similarity[candidate])
        if value > best or (value == best and candidate < number):
            best, number = value, candidate
    return number


def _chunks(size: Tensor, dim: int) -> list[Tensor]:
    """Return slides of like size together, so that little is padded."""
    chunks: list[list[int]] = []
    for slide in size.argsort(descending=True, stable=True).tolist():
        if not chunks or (len(chunks[-1]) + 1) * int(size[chunks[-1][0]]) * dim > _CHUNK_VALUES:
            chunks.append([])
        chunks[-1].append(slide)
    return [torch.tensor(chunk) for chunk in chunks]


def _distances(points: Tensor, centres: Tensor) -> Tensor:
    """Return (S, n, R M) squared distances, each less its point's own square."""
    return centres.square().sum(2).unsqueeze(1) - 2 * points @ centres.transpose(1, 2)


def _first_centres(
    points: Tensor, is_there: Tensor, m: int, restarts: int, generator: torch.Generator
) -> Tensor:
    """Draw (S, R, M, d) centres, each by its squared distance to the nearest one so far."""
    n_slides, longest, dim = points.shape
    norms = points.square().sum(2).unsqueeze(2)
    chance = is_there.unsqueeze(2).to(points.dtype).expand(-1, -1, restarts)
    nearest = torch.full_like(chance, float("inf"))
    chosen: list[Tensor] = []
    for _ in range(m):
        draw = torch.rand((n_slides, 1, restarts), generator=generator).to(points)
        heap = chance.cumsum(1)
        place = (heap <= draw * heap[:, -1:]).sum(1).clamp(max=longest - 1)
        index = place.unsqueeze(2).expand(-1, -1, dim)
        chosen.append(points.gather(1, index))
        away = (norms + _distances(points, chosen[-1])).clamp_min(0)
        nearest = torch.minimum(nearest, away)
        # The small addend draws anything where all points lie on centres.
        chance = (nearest + 1e-12) * is_there.unsqueeze(2)
    return torch.stack(chosen, 2)


def _lloyd(points: Tensor, is_there: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Return the best (S, M, d) of (S, R, M, d) tries, and (S, n) nearest centres."""
    n_slides, restarts, m, dim = start.shape
    centres = start
    labels = None
    for _ in range(_MOST_STEPS):
        scores = _distances(points, centres.flatten(1, 2)).unflatten(2, (restarts, m))
        found = scores.argmin(3)
        if labels is not None and bool((found == labels).all()):
            break
        labels = found
        present = is_there[:, :, None, None].to(points).expand(-1, -1, restarts, -1)
        member = torch.zeros_like(scores).scatter_(3, labels.unsqueeze(3), present)
        total = (member.flatten(2).transpose(1, 2) @ points).view(n_slides, restarts, m, dim)
        mass = member.sum(1).unsqueeze(3)
        # A centre that lost all its points stays where it is.
        centres = torch.where(mass > 0, total / mass.clamp_min(1), centres)
    scores = _distances(points, centres.flatten(1, 2)).unflatten(2, (restarts, m))
    cost = (scores.amin(3) * is_there.unsqueeze(2)).sum(1)
    best, every = cost.argmin(1), torch.arange(n_slides, device=points.device)
    return centres[every, best], scores.argmin(3)[every, :, best]
