"""The adapter on stored features: the identity or a random layer at first; then it learns."""

import pytest
import torch
from torch.nn import functional as F

from napari_dre_slcl.config import FeaturesConfig, load_preset, with_overrides
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.network import DreSlclNet


@pytest.mark.parametrize("kind", ["none", "linear", "mlp"])
def test_it_starts_as_the_identity_up_to_length(kind: str) -> None:
    adapter = FeatureAdapter(FeaturesConfig(adapter=kind), 24)
    stored = 5 * torch.randn(7, 24)
    features = adapter(adapter.prepare(stored, torch.device("cpu")))
    torch.testing.assert_close(features, F.normalize(stored, dim=1))
    assert (adapter.dim, adapter.takes_pixels, adapter.is_trainable) == (24, False, kind != "none")


@pytest.mark.parametrize("kind", ["linear", "mlp", "wide"])
def test_it_learns(kind: str) -> None:
    torch.manual_seed(0)
    adapter = FeatureAdapter(FeaturesConfig(adapter=kind, adapter_width=16), 8).eval()
    stored, target = torch.randn(20, 8), F.normalize(torch.rand(1, adapter.dim), dim=1)
    optimiser = torch.optim.Adam(adapter.parameters(), lr=0.05)
    distances = []
    for _ in range(40):
        features = adapter(stored)
        distance = (features - target).square().sum(1).mean()
        distances.append(distance.item())
        optimiser.zero_grad()
        distance.backward()
        optimiser.step()
    assert distances[-1] < 0.2 * distances[0]
    torch.testing.assert_close(features.norm(dim=1), torch.ones(20))


def _wide(dropout: float = 0.0) -> FeatureAdapter:
    torch.manual_seed(0)
    settings = FeaturesConfig(adapter="wide", adapter_width=32, adapter_dropout=dropout)
    return FeatureAdapter(settings, 8)


def test_the_wide_layer_has_its_own_width_and_gives_unit_vectors() -> None:
    adapter = _wide()
    features = adapter(torch.randn(7, 8))
    assert (adapter.in_dim, adapter.dim, tuple(features.shape)) == (8, 32, (7, 32))
    assert (features >= 0).all()
    torch.testing.assert_close(features.norm(dim=1), torch.ones(7))


def test_the_wide_layer_does_not_know_the_scale_and_offset_of_the_stored_features() -> None:
    stored, plain, moved = torch.randn(50, 8), _wide(), _wide()
    scale, offset = torch.linspace(0.1, 9, 8), torch.linspace(-40, 40, 8)
    plain.standardise_by(stored)
    moved.standardise_by(stored * scale + offset)
    torch.testing.assert_close(moved(stored * scale + offset), plain(stored), atol=1e-4, rtol=1e-3)


def test_a_dimension_that_never_varies_does_not_blow_up() -> None:
    adapter, stored = _wide(), torch.randn(50, 8)
    stored[:, 3] = 1.0
    adapter.standardise_by(stored)
    assert torch.isfinite(adapter(stored)).all()


def test_the_dropout_of_the_wide_layer_is_for_training_alone() -> None:
    adapter, stored = _wide(0.5), torch.randn(50, 8)
    assert (adapter.train()(stored) == 0).float().mean() > 0.6
    assert torch.equal(adapter.eval()(stored), adapter(stored))
    assert (adapter(stored) == 0).float().mean() < 0.6


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    changes = {"residual.heads": 5, "features.adapter": "mlp"}
    config = with_overrides(load_preset("default"), changes)
    with pytest.raises(ConfigError, match=r"residual\.heads=5 does not divide .* width 192"):
        DreSlclNet(config, [2], 0, build_encoder(config, 192))
