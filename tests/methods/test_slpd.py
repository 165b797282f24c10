"""SLPD from bags to slide vectors: its three losses, its prototypes, its repeatability."""

from typing import Any

import pytest
import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.config.data import FeaturesConfig
from napari_dre_slcl.config.slpd import SlpdConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.methods.bag_method import Bags, BagTruth
from napari_dre_slcl.methods.prototype_targets import find_targets, regions_with_prototypes
from napari_dre_slcl.methods.slpd import Slpd
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.nets import build_net

_SMALL = {
    "epochs": 2,
    "prototypes": 2,
    "min_regions": 4,
    "prototypes_from": 0.5,
    "regions_per_batch": 24,
    "head_width": 16,
    "bottleneck": 8,
    "out_dim": 32,
    "mlp_width": 16,
    "lr": 0.002,
}
_SMALL_VIT = {
    **_SMALL,
    "region_encoder": "vit",
    "region_grid": 4,
    "global_crop": 3,
    "local_crop": 2,
    "width": 12,
    "layers": 1,
    "attention_heads": 2,
}


def _config(**settings: Any) -> DreSlclConfig:
    return DreSlclConfig(
        method="slpd",
        slpd=SlpdConfig(**{**_SMALL, **settings}),
        features=FeaturesConfig(adapter="none"),
    )


def _bags(n_slides: int = 12, n_tiles: int = 9, dim: int = 8) -> tuple[Bags, BagTruth]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n_slides) % 2
    edge = round(n_tiles**0.5)
    rowcol = torch.cartesian_prod(torch.arange(edge), torch.arange(edge))
    features = tuple(
        torch.nn.functional.normalize(
            torch.randn(n_tiles, dim, generator=generator) + 2 * torch.eye(dim)[label], dim=1
        )
        for label in labels
    )
    truth = BagTruth(labels.unsqueeze(1), ("subtype",), tuple(f"p{i}" for i in range(n_slides)))
    return Bags(features, (rowcol,) * n_slides), truth


def _fit(config: DreSlclConfig, bags: Bags, truth: BagTruth) -> tuple[Slpd, list[dict[str, float]]]:
    method = Slpd.build(config, FeatureAdapter(config.features, bags.dim), bags.dim, [2])
    history: list[dict[str, float]] = []
    method.fit(bags, truth, lambda _epoch, _of, losses: history.append(losses))
    return method, history


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ((), {"loss/self", "loss/intra", "loss/inter"}),
        (("self",), {"loss/intra", "loss/inter"}),
        (("intra",), {"loss/self", "loss/inter"}),
        (("inter",), {"loss/self", "loss/intra"}),
        (("intra", "inter"), {"loss/self"}),
        (("self", "inter"), {"loss/intra"}),
        (("self", "intra"), {"loss/inter"}),
    ],
)
def test_the_three_losses_are_switched_singly(off: tuple[str, ...], expected: set[str]) -> None:
    _, history = _fit(_config(**{f"{name}_weight": 0.0 for name in off}), *_bags())
    assert set(history[-1]) == {"loss", *expected}
    parts = sum(history[-1][name] for name in expected)
    assert history[-1]["loss"] == pytest.approx(parts, rel=1e-5)


def test_weights_scale_their_losses() -> None:
    settings = {"self_weight": 0.5, "intra_weight": 2.0, "inter_weight": 3.0}
    last = _fit(_config(**settings), *_bags())[1][-1]
    total = 0.5 * last["loss/self"] + 2 * last["loss/intra"] + 3 * last["loss/inter"]
    assert last["loss"] == pytest.approx(total, rel=1e-5)


def test_prototypes_begin_after_their_share_of_the_passes() -> None:
    history = _fit(_config(epochs=4, prototypes_from=0.5), *_bags())[1]
    assert ["loss/intra" in losses for losses in history] == [False, False, True, True]


def test_small_slides_take_part_in_the_dino_term_only() -> None:
    assert set(_fit(_config(min_regions=10), *_bags())[1][-1]) == {"loss", "loss/self"}


@pytest.mark.parametrize("settings", [_SMALL, _SMALL_VIT])
def test_the_same_seed_gives_the_same_bits(settings: dict[str, Any]) -> None:
    bags, truth = _bags(n_slides=8, n_tiles=64)
    one, two = (_fit(_config(**settings), bags, truth)[0] for _ in range(2))
    for name, value in one.net.state_dict().items():
        assert torch.equal(value, two.net.state_dict()[name]), name


@pytest.mark.parametrize("settings", [_SMALL, _SMALL_VIT])
def test_the_heads_tell_classes_apart(settings: dict[str, Any]) -> None:
    bags, truth = _bags(n_tiles=36)
    method, _ = _fit(_config(**settings), bags, truth)
    said = [method.net.describe(*slide) for slide in zip(bags.features, bags.rowcol, strict=True)]
    right = [
        one.probabilities[0].argmax() == label
        for one, label in zip(said, truth.labels[:, 0], strict=True)
    ]
    assert all(right)


@pytest.mark.parametrize("settings", [_SMALL, _SMALL_VIT])
def test_a_rebuilt_network_says_the_same(settings: dict[str, Any]) -> None:
    bags, truth = _bags(n_tiles=36)
    config = _config(**settings)
    net = _fit(config, bags, truth)[0].net
    rebuilt = build_net(config, [2], 0, FeatureAdapter(config.features, bags.dim))
    rebuilt.load_state_dict(net.state_dict())
    one, two = (each.describe(bags.features[0], bags.rowcol[0]) for each in (net, rebuilt.eval()))
    assert torch.equal(one.probabilities[0], two.probabilities[0])
    assert torch.equal(one.attention, two.attention)


def test_training_moves_the_region_encoder_and_not_the_tile_encoder() -> None:
    bags, truth = _bags()
    config = _config()
    before = Slpd.build(config, FeatureAdapter(config.features, 8), 8, [2]).net.region_encoder
    after = _fit(config, bags, truth)[0].net
    assert not torch.equal(before.mlp[1].weight, after.region_encoder.mlp[1].weight)
    assert not list(after.encoder.parameters())
    assert not after.training


def test_a_loss_that_is_no_number_is_told() -> None:
    bags, truth = _bags()
    broken = (torch.full_like(bags.features[0], float("nan")), *bags.features[1:])
    with pytest.raises(ModelError, match=r"no longer a number.*slpd\.lr"):
        _fit(_config(), Bags(broken, bags.rowcol), truth)


def test_missing_positions_are_told_before_training() -> None:
    bags, truth = _bags()
    with pytest.raises(ModelError, match="without tile positions"):
        _fit(_config(**_SMALL_VIT), Bags(bags.features, (None,) * len(bags)), truth)


def test_regions_are_pulled_to_their_own_and_to_the_most_similar_slide() -> None:
    east, north, up = torch.eye(3)
    # Slides 0 and 1 share a group; slide 2 is as unlike both, and takes the first.
    groups = [(east, north), (east, up), (-east, -north)]
    embedded = torch.cat([torch.stack([one, one, two, two]) for one, two in groups])
    slide = torch.arange(3).repeat_interleave(4)
    settings = SlpdConfig(prototypes=2, min_regions=4)
    regions = regions_with_prototypes(slide, settings)
    targets = find_targets(embedded, regions, slide, settings, torch.Generator().manual_seed(0))
    torch.testing.assert_close(targets.own, embedded)
    assert targets.other is not None
    torch.testing.assert_close(targets.other[:2], embedded[4:6])
    torch.testing.assert_close(targets.other[4:6], embedded[:2])
    torch.testing.assert_close(targets.other[8:], embedded[[2, 3, 0, 1]])  # never the opposite


def test_regions_of_small_slides_have_no_row() -> None:
    slide = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
    settings = SlpdConfig(prototypes=2, min_regions=3)
    regions = regions_with_prototypes(slide, settings)
    assert regions.tolist() == list(range(2, 10))
    embedded = torch.nn.functional.normalize(
        torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), dim=1
    )
    targets = find_targets(embedded, regions, slide, settings, torch.Generator().manual_seed(0))
    assert targets.row.tolist() == [-1, -1, *range(8)]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"self_weight": 0, "intra_weight": 0, "inter_weight": 0}, "nothing is trained"),
        ({"width": 100}, "does not divide"),
        ({"global_crop": 20}, "must not exceed"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SlpdConfig(**settings)
