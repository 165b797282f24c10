"""Fixed k-means codewords, and which codeword a feature belongs to."""

from __future__ import annotations

import math

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from napari_dre_slcl.errors import ConfigError, ModelError

__all__ = ["assign_codewords", "check_codebook_size", "drawn_per_slide", "fit_codebook"]

_MOST_DRAWN = 500_000


def fit_codebook(features: Tensor, codewords: int, seed: int) -> Tensor:
    """Fit codewords by k-means++ and Lloyd's algorithm.

    Parameters
    ----------
    features : Tensor
        (n, d) features of training tiles.
    codewords : int
        K.
    seed : int
        Of the initialisation.

    Returns
    -------
    Tensor
        (K, d) float32.

    Raises
    ------
    ConfigError
        If there are fewer tiles than codewords.
    ModelError
        If a feature is not a number.
    """
    check_codebook_size(len(features), codewords)
    n_broken = int((~features.isfinite().all(1)).sum())
    if n_broken:
        raise ModelError(
            f"The tile encoder gives features that are not numbers for {n_broken:,} of "
            f"{len(features):,} tiles. Check encoder.weights, or set encoder.precision to fp32."
        )
    with threadpool_limits(1):  # several threads add up in no fixed order
        # Over a second to load, which processes that are told the codewords need not wait for.
        from sklearn.cluster import KMeans

        fitted = KMeans(codewords, n_init=4, random_state=seed).fit(features.cpu().numpy())
    return torch.from_numpy(fitted.cluster_centers_).float()


def drawn_per_slide(tiles_per_slide: int, n_slides: int) -> int:
    """Return how many tiles of each slide to draw: as set, or fewer in a very large cohort.

    Half a million tiles fix a few dozen codewords; more would only take memory and time.
    """
    return min(tiles_per_slide, math.ceil(_MOST_DRAWN / max(n_slides, 1)))


def check_codebook_size(n_tiles: int, codewords: int) -> None:
    """Raise `ConfigError` where there are fewer tiles than codewords."""
    if n_tiles < codewords:
        raise ConfigError(
            f"{n_tiles} training tiles are too few for {codewords} codewords. "
            "Add slides or lower codebook.codewords."
        )


def assign_codewords(features: Tensor, codewords: Tensor) -> Tensor:
    """Return the nearest codeword of each feature.

    Parameters
    ----------
    features : Tensor
        (n, d).
    codewords : Tensor
        (K, d).

    Returns
    -------
    Tensor
        (n,) int64; on a tie the lower number.
    """
    # |z - c|^2 = |z|^2 - 2 z.c + |c|^2, and |z|^2 is the same for all codewords.
    scores = features.detach() @ codewords.T - 0.5 * codewords.square().sum(1)
    return scores.argmax(1)
