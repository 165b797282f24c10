"""Two-dimensional maps of tiles and slides: what lies close together looks alike to the model."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MOST_TILES", "atlas_method", "atlas_sample", "principal_plane", "project"]

MOST_TILES = 50_000
"""More points than these hide each other on a screen."""
_UMAP_WIDTH = 50
_UMAP_LEAST = 15


def atlas_method() -> str:
    """Return ``umap`` where the package umap-learn is installed, else ``pca``."""
    return "umap" if find_spec("umap") is not None else "pca"


def atlas_sample(n_tiles: int, n_most: int = MOST_TILES, seed: int = 0) -> NDArray[np.int64]:
    """Return which of ``n_tiles`` tiles are drawn, ascending; the same for the same seed."""
    if n_tiles <= n_most:
        return np.arange(n_tiles, dtype=np.int64)
    chosen = np.random.default_rng(seed).choice(n_tiles, n_most, replace=False)
    return np.sort(chosen).astype(np.int64)


def project(
    vectors: NDArray[np.floating[Any]], method: str = "pca", seed: int = 0
) -> NDArray[np.float64]:
    """Place vectors on a plane.

    Parameters
    ----------
    vectors : ndarray
        (n, d).
    method : {"pca", "umap"}
        The plane of greatest variance, or UMAP (McInnes et al. 2018, arXiv 1802.03426) on the first
        50 principal components. UMAP keeps neighbours together; distances between groups mean
        little. So few points that UMAP has no neighbourhoods are placed by PCA.
    seed : int
        Of UMAP.

    Returns
    -------
    ndarray
        (n, 2) float64 x and y.
    """
    if method == "umap" and len(vectors) > _UMAP_LEAST:
        from umap import UMAP

        narrow = principal_plane(vectors, min(_UMAP_WIDTH, vectors.shape[1], len(vectors)))
        return np.asarray(UMAP(random_state=seed, n_jobs=1).fit_transform(narrow), np.float64)
    return principal_plane(vectors, 2)


def principal_plane(vectors: NDArray[np.floating[Any]], width: int = 2) -> NDArray[np.float64]:
    """Return the first principal components of vectors, zeros where there are fewer.

    Each axis points to where its largest entry is positive, so that the same vectors always give
    the same picture.

    Parameters
    ----------
    vectors : ndarray
        (n, d).
    width : int
        Components that are wanted.

    Returns
    -------
    ndarray
        (n, width) float64.
    """
    placed = np.zeros((len(vectors), width))
    if len(vectors) < 2:
        return placed
    centred = np.asarray(vectors, np.float32)
    centred = centred - centred.mean(axis=0)
    _, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    axes = axes[:, ::-1][:, :width]
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    placed[:, : axes.shape[1]] = centred @ axes
    return placed
