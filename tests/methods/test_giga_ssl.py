"""Giga-SSL: what its views, its training and its slide vectors are."""

import math

import pytest
import torch

from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.errors import CohortError, ConfigError, ModelError
from napari_dre_slcl.methods.bag_method import Bags, BagTruth
from napari_dre_slcl.methods.giga_ssl import GigaSsl
from napari_dre_slcl.methods.view_sampler import ViewSampler
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.giga_ssl_net import GigaSslNet
from napari_dre_slcl.model.losses import nt_xent
from napari_dre_slcl.model.nets import build_net
from napari_dre_slcl.model.seeds import seeded

DIM = 6


def _config(**changes: object) -> DreSlclConfig:
    settings = {
        "method": "giga-ssl",
        "features.adapter": "none",
        "giga_ssl.width": 16,
        "giga_ssl.dropout": 0.1,
        "giga_ssl.projector_width": 16,
        "giga_ssl.projector_out": 8,
        "giga_ssl.tiles_per_view": 2,
        "giga_ssl.slides_per_batch": 16,
        "giga_ssl.epochs": 12,
        "giga_ssl.warmup_epochs": 2,
        "giga_ssl.lr": 0.05,
        "giga_ssl.bags": 10,
        "probe.c_values": (0.1,),
    }
    return with_overrides(load_preset("default"), settings | changes)


def _bags(n: int, *, seed: int = 0, places: bool = False, copies: int = 0) -> Bags:
    """Slides of 3 to 12 tiles that scatter around a direction of the slide's own."""
    generator = torch.Generator().manual_seed(seed)
    features, rowcol = [], []
    for slide in range(n):
        own = torch.randn(1, DIM, generator=generator) + 2 * (slide % 2) * torch.eye(DIM)[:1]
        tiles = own + 0.5 * torch.randn(3 + slide % 10, DIM, generator=generator)
        features.append(torch.nn.functional.normalize(tiles, dim=1))
        rowcol.append(torch.randint(0, 9, (len(tiles), 2), generator=generator))
    return Bags(
        tuple(features),
        tuple(rowcol) if places else (None,) * n,
        tuple(tuple(-one * (c + 1) for c in range(copies)) for one in features) if copies else (),
    )


def _truth(n: int) -> BagTruth:
    labels = torch.arange(n)[:, None] % 2
    return BagTruth(labels, ("subtype",), tuple(f"p{slide}" for slide in range(n)))


def _fitted(config: DreSlclConfig, bags: Bags, losses: list[float] | None = None) -> GigaSsl:
    method = GigaSsl.build(config, build_encoder(config, DIM), DIM, (2,))
    kept = [] if losses is None else losses
    method.fit(bags, _truth(len(bags)), lambda epoch, n, found: kept.append(found["nt_xent"]))
    return method


@pytest.mark.parametrize("size", [2, 3, 9])
@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_nt_xent_of_orthogonal_slides_has_a_closed_form(size: int, temperature: float) -> None:
    # Views of a slide agree, all else is at right angles: each row has one 1 and 2n - 2 zeros.
    views = torch.eye(size, dtype=torch.float64)
    expected = math.log(1 + (2 * size - 2) * math.exp(-1 / temperature))
    assert nt_xent(views, 3 * views, temperature).item() == pytest.approx(expected)


def test_training_makes_views_of_a_slide_agree() -> None:
    losses: list[float] = []
    _fitted(_config(), _bags(32), losses)
    assert len(losses) == 12
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("aggregator", ["mlp", "sparse-conv"])
def test_heads_learn_a_class_that_shows_in_the_tiles(aggregator: str) -> None:
    method = _fitted(_config(**{"giga_ssl.aggregator": aggregator}), _bags(40, places=True))
    new = _bags(40, seed=1, places=True)
    pairs = zip(new.features, new.rowcol, strict=True)
    found = [int(method.net.describe(*pair).probabilities[0].argmax()) for pair in pairs]
    right = sum(label == slide % 2 for slide, label in enumerate(found))
    assert right >= 28


@pytest.mark.parametrize("aggregator", ["mlp", "sparse-conv"])
def test_the_same_seed_gives_the_same_bits(aggregator: str) -> None:
    config = _config(**{"giga_ssl.aggregator": aggregator, "giga_ssl.epochs": 2})
    first, second = (_fitted(config, _bags(12, places=True)) for _ in range(2))
    states = first.net.state_dict(), second.net.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = _fitted(with_overrides(config, {"training.seed": 1}), _bags(12, places=True))
    assert not all(torch.equal(states[0][n], other.net.state_dict()[n]) for n in states[0])


@pytest.mark.parametrize("aggregator", ["mlp", "sparse-conv"])
@pytest.mark.parametrize("n_tiles", [1, 4, 60])
def test_a_slide_vector_is_a_unit_vector_whatever_the_order(aggregator: str, n_tiles: int) -> None:
    config = _config(**{"giga_ssl.aggregator": aggregator})
    net = GigaSslNet(config, (2, 3), build_encoder(config, DIM)).eval()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n_tiles, DIM, generator=generator)
    rowcol = torch.randint(0, 20, (n_tiles, 2), generator=generator)
    order = torch.randperm(n_tiles, generator=generator)
    said, again = net.describe(features, rowcol), net.describe(features[order], rowcol[order])
    assert float(said.vector.norm()) == pytest.approx(1, abs=1e-5)
    assert torch.equal(said.vector, again.vector)
    assert [len(found) for found in said.probabilities] == [2, 3]
    assert float(said.attention.sum()) == pytest.approx(1, abs=1e-5)
    assert len(said.codeword_attention) == 0


def test_many_bags_of_the_mlp_reach_the_mean_of_all_tiles() -> None:
    config = _config(**{"giga_ssl.bags": 30})
    net = GigaSslNet(config, (2,), build_encoder(config, DIM)).eval()
    features = torch.randn(20, DIM)  # 60 draws: each tile three times
    mean = net.encode_bags(features[None])[0]
    torch.testing.assert_close(
        net.slide_vector(features), torch.nn.functional.normalize(mean, dim=0)
    )


def test_positions_change_the_sparse_aggregator_alone() -> None:
    features, near = torch.randn(8, DIM), torch.arange(8)[:, None] * torch.tensor([0, 1])
    for aggregator, changes in (("mlp", False), ("sparse-conv", True)):
        config = _config(**{"giga_ssl.aggregator": aggregator})
        torch.manual_seed(0)
        net = GigaSslNet(config, (2,), build_encoder(config, DIM)).eval()
        is_equal = torch.allclose(
            net.slide_vector(features, near), net.slide_vector(features, near * 9)
        )
        assert is_equal is not changes


def test_sparse_conv_without_positions_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs the positions of tiles"):
        _fitted(_config(**{"giga_ssl.aggregator": "sparse-conv"}), _bags(4))


def test_one_slide_alone_is_refused() -> None:
    with pytest.raises(CohortError, match="two training slides"):
        _fitted(_config(), _bags(1))


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    bags = _bags(4)
    bags.features[2][0, 0] = float("nan")
    with pytest.raises(ModelError, match="no longer a number"):
        _fitted(_config(), bags)


def test_views_come_from_the_stored_features_and_all_copies() -> None:
    bags = _bags(6, copies=2)
    sampler = ViewSampler(bags, (None,) * 6, _config().giga_ssl)
    seen = set()
    for step in range(40):
        views, positions = sampler.draw(torch.arange(6), seeded(0, step))
        assert positions is None
        for slide, view in enumerate(views):
            stored = (bags.features[slide], *bags.copies[slide])
            held = [
                copy
                for copy, rows in enumerate(stored)
                if all((rows == tile).all(1).any() for tile in view)
            ]
            assert len(held) == 1  # all tiles of a view are from one copy
            seen.add((slide, held[0]))
    assert seen == {(slide, copy) for slide in range(6) for copy in range(3)}


def test_slides_of_a_patient_are_not_told_apart() -> None:
    bags, config = _bags(2), _config(**{"giga_ssl.epochs": 1})
    method = GigaSsl.build(config, build_encoder(config, DIM), DIM, (2,))
    losses: list[float] = []
    truth = BagTruth(torch.tensor([[0], [1]]), ("subtype",), ("same", "same"))
    method.fit(bags, truth, lambda epoch, n, found: losses.append(found["nt_xent"]))
    assert losses == [0.0]


def test_the_projector_is_dropped() -> None:
    names = _fitted(_config(**{"giga_ssl.epochs": 1}), _bags(4)).net.state_dict()
    assert {name.split(".")[0] for name in names} == {
        "feature_mean",
        "feature_std",
        "aggregator",
        "heads",
    }


@pytest.mark.parametrize("aggregator", ["mlp", "sparse-conv"])
def test_a_bundle_rebuilds_the_network(aggregator: str) -> None:
    config = _config(**{"giga_ssl.aggregator": aggregator, "giga_ssl.epochs": 1})
    bags = _bags(6, places=True)
    net = _fitted(config, bags).net
    again = build_net(config, (2,), 0, build_encoder(config, DIM)).eval()
    again.load_state_dict(net.state_dict())
    said, told = (one.describe(bags.features[3], bags.rowcol[3]) for one in (net, again))
    assert torch.equal(said.vector, told.vector)
    assert torch.equal(said.probabilities[0], told.probabilities[0])


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.3), (0.7, 0.9), (1.1, 1.3)])
def test_scales_must_be_a_range_around_1(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="scale_m"):
        _config(**{"giga_ssl.scale_min": low, "giga_ssl.scale_max": high})
