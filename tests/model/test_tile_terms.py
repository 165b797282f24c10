"""Sums over tiles: the same answer as the whole slide, and exact derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.nets import TrainedNet, build_net
from napari_dre_slcl.model.tile_terms import TileTerms, log_odds, sum_terms, tile_evidence

N_TILES, DIM = 60, 24
TARGETS = [(0, 1), (1, 0), (1, 2)]
SMALL = {
    "features.adapter": "none",
    "codebook.codewords": 4,
    "residual.heads": 2,
    "mil.width": 16,
    "mil.attention_width": 8,
    "giga_ssl.width": 16,
    "giga_ssl.bags": 24,  # of 5 tiles: each of the 60 tiles twice
    "slpd.region_encoder": "mlp",
}
KINDS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("default", {}),
    ("paper", {}),
    ("paper", {"residual.normalisation": "intra", "residual.mass_bias": True}),
    (
        "cpu-small",
        {
            "residual.tokens": "mean",
            "residual.pooling": "mass",
            "residual.normalisation": "signed-sqrt",
        },
    ),
    ("default", {"method": "attention-mil"}),
    ("default", {"method": "mean-pool"}),
    ("default", {"method": "giga-ssl"}),
    ("default", {"method": "slpd"}),
)


def _features() -> Tensor:
    torch.manual_seed(0)
    clustered = torch.randn(5, DIM)[torch.arange(N_TILES) % 5] + 0.6 * torch.randn(N_TILES, DIM)
    return torch.nn.functional.normalize(clustered.double(), dim=1)


def _net(preset: str, changes: Mapping[str, Any], text_dim: int = 6) -> TrainedNet:
    config: DreSlclConfig = with_overrides(load_preset(preset), SMALL | changes)
    torch.manual_seed(1)
    net: Any = build_net(config, [2, 3], text_dim, build_encoder(config, DIM)).eval()
    features = _features().float()
    for parameter in net.heads.parameters():
        torch.nn.init.normal_(parameter)
    if config.method == "dre-slcl":
        net.set_codebook(features[:4], features)
    made: TrainedNet = net.double()
    return made


def _terms(net: TrainedNet) -> TileTerms:
    terms = net.tile_terms(_features())
    assert terms is not None
    return terms


@pytest.mark.parametrize(("preset", "changes"), KINDS)
def test_the_sum_over_all_tiles_gives_the_answer_of_the_whole_slide(
    preset: str, changes: Mapping[str, Any]
) -> None:
    net = _net(preset, changes)

    logits = net.logits_of_sums(sum_terms(_terms(net)))

    for found, expected in zip(logits, net.describe(_features()).probabilities, strict=True):
        torch.testing.assert_close(found.softmax(1)[0], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("preset", "changes"), KINDS[:4])
def test_tiles_of_weight_zero_are_as_if_they_were_not_there(
    preset: str, changes: Mapping[str, Any]
) -> None:
    net = _net(preset, changes)
    is_kept = torch.arange(N_TILES) % 3 > 0

    one = net.logits_of_sums(sum_terms(_terms(net), is_kept[None].double()))
    two = net.logits_of_sums(sum_terms(_terms(net), is_kept.double().repeat(2, 1)))

    for found, other, expected in zip(
        one, two, net.describe(_features()[is_kept]).probabilities, strict=True
    ):
        torch.testing.assert_close(found.softmax(1)[0], expected, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(other[1], found[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("preset", "changes"), KINDS)
def test_evidence_is_the_slope_of_the_log_odds_and_adds_up_to_nothing(
    preset: str, changes: Mapping[str, Any]
) -> None:
    net = _net(preset, changes)
    terms = _terms(net)
    step = 1e-5
    tile = 7
    weights = torch.ones(2, N_TILES, dtype=torch.float64)
    weights[0, tile] += step
    weights[1, tile] -= step

    evidence = tile_evidence(net, terms, TARGETS)

    logits = net.logits_of_sums(sum_terms(terms, weights))
    for column, (task, index) in enumerate(TARGETS):
        up, down = log_odds(logits[task], index).tolist()
        assert evidence[tile, column].item() == pytest.approx((up - down) / (2 * step), rel=1e-4)
    assert evidence.sum(0).abs().max() < 1e-9 * evidence.abs().sum()


def test_evidence_of_literal_vlad_is_the_slope_along_the_residual() -> None:
    net: Any = _net("paper", {})
    features = _features()
    sums = net.sums(features)
    sums.residual.requires_grad_()
    encoding = net.encode_slides(sums)
    log_odds(net.heads[0](encoding.vector), 1).backward()
    codeword, _ = net.index_tiles(features)
    residual = features - net.codewords[codeword]

    expected = (sums.residual.grad[0][codeword] * residual).sum(1)

    torch.testing.assert_close(tile_evidence(net, _terms(net), [(0, 1)])[:, 0], expected)


@pytest.mark.parametrize(("preset", "changes"), KINDS[:4])
def test_report_space_is_each_tile_alone_as_a_slide(
    preset: str, changes: Mapping[str, Any]
) -> None:
    net: Any = _net(preset, changes)
    features = _features()

    found = net.report_space(features)

    alone = [net.project(net.describe(features[i : i + 1]).vector[None])[0] for i in range(N_TILES)]
    torch.testing.assert_close(found, torch.stack(alone), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(N_TILES, dtype=torch.float64))


def test_a_network_without_reports_or_sums_says_so() -> None:
    grids = {"method": "slpd", "slpd.region_encoder": "vit"}

    assert _net("default", {}, text_dim=0).report_space(_features()) is None
    assert _net("default", {"method": "mean-pool"}).report_space(_features()) is None
    assert _net("default", grids).tile_terms(_features()) is None
