"""Deletion and insertion curves: whether a map of tiles shows what a prediction rests on.

Samek et al. 2017 and Petsiuk et al. 2018 (RISE), with tiles in the place of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.model.tile_terms import SumNet, TileTerms, sum_terms

__all__ = ["curve_area", "deletion_curve", "insertion_curve", "random_curve"]


def deletion_curve(
    net: SumNet,
    terms: TileTerms,
    order: NDArray[np.int64],
    target: tuple[int, int],
    shares: Sequence[float],
) -> NDArray[np.float64]:
    """Return the probability of a class after the first tiles of an order have been removed.

    Parameters
    ----------
    net : SumNet
        In evaluation mode.
    terms : TileTerms
        Of the slide's n tiles.
    order : ndarray
        (n,) positions of the tiles, the first to be removed first.
    target : (int, int)
        Task and class.
    shares : sequence of float
        Shares of the tiles that are gone, 0 to below 1; one tile is always left.

    Returns
    -------
    ndarray
        (len(shares),).
    """
    weights = torch.ones(len(shares), len(order), dtype=terms.values.dtype)
    for row, share in enumerate(shares):
        weights[row, order[: _count(share, len(order), len(order) - 1)]] = 0
    return _probabilities(net, terms, weights, target)


def insertion_curve(
    net: SumNet,
    terms: TileTerms,
    order: NDArray[np.int64],
    target: tuple[int, int],
    shares: Sequence[float],
) -> NDArray[np.float64]:
    """Return the probability of a class where only the first tiles of an order are there.

    Parameters
    ----------
    net, terms, order, target
        As of `deletion_curve`.
    shares : sequence of float
        Shares of the tiles that are there, above 0 to 1; one tile is always there.

    Returns
    -------
    ndarray
        (len(shares),).
    """
    weights = torch.zeros(len(shares), len(order), dtype=terms.values.dtype)
    for row, share in enumerate(shares):
        weights[row, order[: max(1, _count(share, len(order), len(order)))]] = 1
    return _probabilities(net, terms, weights, target)


def random_curve(
    net: SumNet,
    terms: TileTerms,
    target: tuple[int, int],
    shares: Sequence[float],
    n_orders: int = 20,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Return the mean deletion curve over random orders; as of `deletion_curve`."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(terms)) for _ in range(n_orders)]
    curves = np.stack([deletion_curve(net, terms, one, target, shares) for one in orders])
    mean: NDArray[np.float64] = curves.mean(axis=0)
    return mean


def curve_area(shares: Sequence[float], values: NDArray[np.float64]) -> float:
    """Return the area under a curve by the trapezoidal rule, divided by its width: a mean height.

    The smaller it is for deletion, and the larger for insertion, the better the order.
    """
    x = np.asarray(shares, dtype=np.float64)
    return float(np.trapezoid(values, x) / (x[-1] - x[0]))


def _count(share: float, n_tiles: int, most: int) -> int:
    return min(round(share * n_tiles), most)


@torch.no_grad()
def _probabilities(
    net: SumNet, terms: TileTerms, weights: Tensor, target: tuple[int, int]
) -> NDArray[np.float64]:
    task, index = target
    sums = sum_terms(terms, weights.to(terms.values.device))
    found = net.logits_of_sums(sums)[task].softmax(1)[:, index]
    curve: NDArray[np.float64] = found.double().cpu().numpy()
    return curve
