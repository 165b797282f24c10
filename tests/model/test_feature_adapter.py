"""The adapter on stored features: the identity at first, then whatever training makes of it."""

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


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_it_learns(kind: str) -> None:
    torch.manual_seed(0)
    adapter = FeatureAdapter(FeaturesConfig(adapter=kind, adapter_width=16), 8)
    stored, target = torch.randn(20, 8), F.normalize(torch.randn(1, 8), dim=1)
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


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    config = with_overrides(load_preset("default"), {"residual.heads": 5})
    with pytest.raises(ConfigError, match=r"residual\.heads=5 does not divide .* width 192"):
        DreSlclNet(config, [2], 0, build_encoder(config, 192))
