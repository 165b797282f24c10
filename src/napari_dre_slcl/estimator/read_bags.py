"""What a user hands in as X: a table, or a bag of tile features for each slide; checked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from napari_dre_slcl.cohort.feature_store import FeatureFile, open_features
from napari_dre_slcl.errors import BagError, SlideError

__all__ = ["CheckedBag", "as_float32", "check_bags", "has_bags"]

CheckedBag = NDArray[np.float32] | FeatureFile
"""(n_tiles, d) finite features, or a feature file that can be opened."""


def has_bags(x: Any) -> bool:
    """Return whether X is a sequence of bags; a table of numbers, or anything else, is not.

    Bags are a (n, n_tiles, d) array, or a list, tuple or array of objects whose first member is a
    table or the path of a feature file.
    """
    if isinstance(x, np.ndarray):
        if x.ndim == 3:
            return True
        if x.ndim != 1 or x.dtype.kind not in "OU":
            return False
    elif not isinstance(x, list | tuple):
        return False
    if not len(x):
        return False
    return isinstance(x[0], str | os.PathLike) or np.ndim(x[0]) == 2


def check_bags(x: Sequence[Any], width: int | None = None) -> list[CheckedBag]:
    """Return every bag as float32, or its file opened.

    Parameters
    ----------
    x : sequence
        As `has_bags` knows it.
    width : int, optional
        Features per tile that are expected; those of the first bag by default.

    Raises
    ------
    BagError
        If a bag is no table of finite numbers, has no tile or another width, or its file cannot be
        used.
    """
    bags = []
    for number, one in enumerate(x):
        bag = _bag(number, one)
        found = bag.dim if isinstance(bag, FeatureFile) else bag.shape[1]
        width = found if width is None else width
        if found != width:
            raise BagError(
                f"Bag {number} has {found} features per tile, {width} are expected. Give bags of "
                "one tile encoder."
            )
        bags.append(bag)
    return bags


def as_float32(array: Any) -> NDArray[np.float32]:
    """Return numbers as float32 in memory of their own order that torch may share."""
    return np.require(array, np.float32, ["C", "W"])


def _bag(number: int, one: Any) -> CheckedBag:
    try:
        if isinstance(one, str | os.PathLike):
            return open_features(Path(one))
        if hasattr(one, "detach"):  # a tensor, on whatever device
            one = one.detach().cpu()
        return as_float32(check_array(one, dtype=np.float32, input_name=f"bag {number}"))
    except (ValueError, TypeError, SlideError) as error:
        raise BagError(
            f"Bag {number} cannot be used: {error} A bag is a table of finite numbers with one row "
            "per tile, or the path of a feature file (.h5)."
        ) from error
