"""Deletion and insertion curves on a slide whose sums are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_dre_slcl.insight.attribution import (
    curve_area,
    deletion_curve,
    insertion_curve,
    random_curve,
)
from napari_dre_slcl.model.tile_terms import TileTerms, tile_evidence

N_TILES = 10
TARGET = (0, 1)


class _MeanNet:
    """The log-odds of class 1 are the mean of one number per tile."""

    def tile_terms(self, features: Tensor, rowcol: Tensor | None = None) -> TileTerms:
        values = torch.cat([features, torch.ones_like(features)], dim=1)
        return TileTerms(values, torch.zeros(len(features), dtype=torch.long), 1)

    def logits_of_sums(self, sums: Tensor) -> list[Tensor]:
        mean = sums[:, 0, 0] / sums[:, 0, 1]
        return [torch.stack([torch.zeros_like(mean), mean], dim=1)]


NET = _MeanNet()
SCORES = torch.arange(N_TILES, dtype=torch.float64)[:, None]
TERMS = NET.tile_terms(SCORES)


def _logistic(mean: float) -> float:
    return float(1 / (1 + np.exp(-mean)))


def test_the_curve_follows_the_tiles_that_are_left() -> None:
    order = np.arange(N_TILES)[::-1].copy()

    found = deletion_curve(NET, TERMS, order, TARGET, (0, 0.5, 0.99))

    assert found == pytest.approx([_logistic(4.5), _logistic(2.0), _logistic(0.0)])


def test_insertion_begins_with_the_first_tile_and_ends_with_the_whole_slide() -> None:
    order = np.arange(N_TILES)[::-1].copy()

    found = insertion_curve(NET, TERMS, order, TARGET, (0.01, 0.2, 1))

    assert found == pytest.approx([_logistic(9.0), _logistic(8.5), _logistic(4.5)])


def test_the_order_of_evidence_removes_faster_than_any_other() -> None:
    shares = np.linspace(0, 0.9, 10).tolist()
    evidence = tile_evidence(NET, TERMS, [TARGET])[:, 0].numpy()
    best = deletion_curve(NET, TERMS, np.argsort(-evidence), TARGET, shares)
    chance = random_curve(NET, TERMS, TARGET, shares)
    worst = deletion_curve(NET, TERMS, np.argsort(evidence), TARGET, shares)

    areas = [curve_area(shares, curve) for curve in (best, chance, worst)]

    assert areas[0] < areas[1] < areas[2]
    assert np.array_equal(chance, random_curve(NET, TERMS, TARGET, shares))


def test_the_area_of_a_flat_curve_is_its_height() -> None:
    assert curve_area((0.0, 0.1, 0.9), np.full(3, 0.7)) == pytest.approx(0.7)
