"""How much a prediction hangs on which tiles were seen: the slide drawn again from its own tiles.

The bootstrap of Efron 1979 over tiles. It knows nothing of how often the model is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_dre_slcl.model.tile_terms import SumNet, TileTerms

__all__ = ["DrawnPrediction", "draw_predictions"]

N_DRAWS = 200
_GROUP = 8192
_SEED = 0  # no setting: the interval of a slide is one and the same, wherever it is made
_TAILS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class DrawnPrediction:
    """One task over all draws.

    Parameters
    ----------
    low, high : tuple of float
        2.5th and 97.5th percentile of each class's probability.
    stability : float
        Share of the draws in which the class of the undrawn slide is the most probable one.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    stability: float


@torch.no_grad()
def draw_predictions(
    net: SumNet, terms: TileTerms, called: Sequence[int] | None = None
) -> list[DrawnPrediction]:
    """Predict a slide from 200 draws of as many tiles as it has, with replacement.

    A method that looks at fewer tiles than the slide has gets as many as it looks at: those that
    it picks of a draw are a draw of that size.

    Parameters
    ----------
    net : SumNet
        In evaluation mode.
    terms : TileTerms
        Of the slide's n tiles, two at least.
    called : sequence of int, optional
        The most probable class of each task, as the user is told; that of the sums by default.

    Returns
    -------
    list of DrawnPrediction
        One per task.
    """
    sums, whole = _drawn_sums(terms)
    drawn = [logits.softmax(1).cpu().numpy() for logits in net.logits_of_sums(sums)]
    if called is None:
        called = [int(logits[0].argmax()) for logits in net.logits_of_sums(whole)]
    found = []
    for probabilities, index in zip(drawn, called, strict=True):
        low, high = np.percentile(probabilities.astype(np.float64), _TAILS, axis=0)
        stability = float((probabilities.argmax(axis=1) == index).mean())
        found.append(DrawnPrediction(tuple(low.tolist()), tuple(high.tolist()), stability))
    return found


def _drawn_sums(terms: TileTerms) -> tuple[Tensor, Tensor]:
    """Return the (draws, S, p) sums of all draws, and the (1, S, p) ones of the slide itself."""
    shape = (terms.n_slots, terms.values.shape[1])
    sums = terms.values.new_zeros(N_DRAWS, *shape)
    whole = terms.values.new_zeros(1, *shape)
    slot = terms.slot.cpu().numpy()
    # Tiles of one slot together: each group then is one matrix product.
    groups = list(_groups(slot))
    rng = np.random.default_rng([_SEED, len(slot)])
    sizes = np.array([len(tiles) for tiles in groups])
    n_drawn = len(slot) if terms.n_seen is None else min(len(slot), terms.n_seen)
    per_group = rng.multinomial(n_drawn, sizes / len(slot), size=N_DRAWS)
    for number, tiles in enumerate(groups):
        values = terms.values[torch.from_numpy(tiles).to(terms.slot.device)]
        counts = _counts(rng, per_group[:, number], len(tiles))
        key = int(slot[tiles[0]])
        sums[:, key] += torch.from_numpy(counts).to(values) @ values
        whole[0, key] += values.sum(0)
    return sums, whole


def _groups(slot: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Return positions of tiles, those of one slot by at most `_GROUP` at a time."""
    order = np.argsort(slot, kind="stable")
    starts = np.flatnonzero(np.diff(slot[order], prepend=-1))
    for tiles in np.split(order, starts[1:]):
        for start in range(0, len(tiles), _GROUP):
            yield tiles[start : start + _GROUP]


def _counts(
    rng: np.random.Generator, drawn: NDArray[np.int64], n_tiles: int
) -> NDArray[np.float32]:
    """Return (draws, n_tiles), how often each tile is drawn where ``drawn`` tiles are, in all.

    Given how many of a draw fall into a group, they fall on its tiles alike.
    """
    row = np.repeat(np.arange(len(drawn)), drawn)
    tile = rng.integers(0, n_tiles, len(row))
    counts = np.bincount(row * n_tiles + tile, minlength=len(drawn) * n_tiles)
    return counts.reshape(len(drawn), n_tiles).astype(np.float32)
