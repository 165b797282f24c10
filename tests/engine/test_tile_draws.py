"""Intervals are those of a bootstrap that predicts each draw of tiles from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.engine.tile_draws import draw_predictions
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.nets import build_net

DIM = 24
SMALL = {
    "features.adapter": "none",
    "codebook.codewords": 4,
    "residual.heads": 2,
    "mil.width": 16,
    "mil.attention_width": 8,
    "giga_ssl.width": 16,
    "giga_ssl.bags": 6,  # of 5 tiles: 30 of the slide's 80
    "slpd.region_encoder": "mlp",
}
METHODS: tuple[Mapping[str, Any], ...] = (
    {},
    {"residual.weighting": "uniform", "residual.tokens": "sum", "residual.pooling": "cls"},
    {"method": "attention-mil"},
    {"method": "mean-pool"},
    {"method": "giga-ssl"},
    {"method": "slpd"},
)


def _features(n_tiles: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(5, DIM, generator=generator)
    drawn = centres[torch.arange(n_tiles) % 5] + 0.6 * torch.randn(
        n_tiles, DIM, generator=generator
    )
    return torch.nn.functional.normalize(drawn, dim=1)


def _net(changes: Mapping[str, Any]) -> Any:
    config = with_overrides(load_preset("default"), SMALL | changes)
    torch.manual_seed(1)
    net: Any = build_net(config, [2, 3], 6, build_encoder(config, DIM)).eval()
    for parameter in net.heads.parameters():
        torch.nn.init.normal_(parameter)
    if config.method == "dre-slcl":
        net.set_codebook(_features(4), _features(80))
    return net


@pytest.mark.parametrize("changes", METHODS)
def test_spread_is_that_of_predicting_each_draw_anew(changes: Mapping[str, Any]) -> None:
    net, features = _net(changes), _features(80)
    rng = np.random.default_rng(3)
    anew = np.stack(
        [
            net.describe(features[torch.from_numpy(rng.integers(0, 80, 80))]).probabilities[1]
            for _ in range(300)
        ]
    )

    found = draw_predictions(net, net.tile_terms(features))[1]

    expected = np.percentile(anew, (2.5, 97.5), axis=0)
    widths = (np.array(found.high) - found.low, expected[1] - expected[0])
    np.testing.assert_allclose(widths[0], widths[1], rtol=0.3)
    middles = (np.add(found.high, found.low) / 2, expected.mean(axis=0))
    np.testing.assert_allclose(middles[0], middles[1], atol=0.15 * widths[1].max())


@pytest.mark.parametrize("n_tiles", [2, 5])
def test_few_tiles_give_wide_intervals_around_the_answer(n_tiles: int) -> None:
    net, features = _net({}), _features(n_tiles)

    for drawn, whole in zip(
        draw_predictions(net, net.tile_terms(features)),
        net.describe(features).probabilities,
        strict=True,
    ):
        for low, value, high in zip(drawn.low, whole.tolist(), drawn.high, strict=True):
            assert low <= value <= high
            assert high - low > 1e-4


def test_stability_counts_the_class_that_the_user_is_told() -> None:
    net, features = _net({"method": "mean-pool"}), _features(80)
    terms = net.tile_terms(features)
    told = int(net.describe(features).probabilities[0].argmax())

    right = draw_predictions(net, terms, [told, 0])[0].stability
    wrong = draw_predictions(net, terms, [1 - told, 0])[0].stability

    assert right == draw_predictions(net, terms)[0].stability
    assert right + wrong == pytest.approx(1)
