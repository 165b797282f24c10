"""The network of SLPD on tiles with and without positions."""

from typing import Any

import pytest
import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.config.data import FeaturesConfig
from napari_dre_slcl.config.slpd import SlpdConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.region_encoder import RegionVit
from napari_dre_slcl.model.regions import RegionInputs
from napari_dre_slcl.model.slpd_net import SlpdNet

_SMALL_VIT = {
    "region_encoder": "vit",
    "region_grid": 4,
    "global_crop": 3,
    "local_crop": 2,
    "width": 12,
    "layers": 2,
    "attention_heads": 3,
}


def _net(dim: int = 8, **settings: Any) -> SlpdNet:
    torch.manual_seed(0)
    config = DreSlclConfig(
        method="slpd",
        slpd=SlpdConfig(**settings),
        features=FeaturesConfig(adapter="none"),
    )
    return SlpdNet(config, [2, 3], FeatureAdapter(config.features, dim)).eval()


def _tiles(edge: int, dim: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    rowcol = torch.cartesian_prod(torch.arange(edge), torch.arange(edge))
    return torch.randn(len(rowcol), dim, generator=torch.Generator().manual_seed(1)), rowcol


def test_the_region_encoder_has_the_published_size() -> None:
    vit = RegionVit(384, SlpdConfig())
    assert round(sum(weight.numel() for weight in vit.parameters()) / 1e6, 2) == 2.78


@pytest.mark.parametrize("settings", [{}, _SMALL_VIT])
def test_a_slide_is_described(settings: dict[str, Any]) -> None:
    net = _net(**settings)
    features, rowcol = _tiles(7)
    said = net.describe(features, rowcol)
    assert said.vector.shape == (12 if settings else 8 + 384,)
    assert [len(one) for one in said.probabilities] == [2, 3]
    assert said.attention.shape == (49,)
    assert said.attention.sum().item() == pytest.approx(1, rel=1e-5)
    assert net.codeword_names == ()


@pytest.mark.parametrize("settings", [{}, _SMALL_VIT])
def test_the_order_of_tiles_does_not_matter(settings: dict[str, Any]) -> None:
    net = _net(**settings)
    features, rowcol = _tiles(7)
    order = torch.randperm(49, generator=torch.Generator().manual_seed(2))
    one, two = net.describe(features, rowcol), net.describe(features[order], rowcol[order])
    torch.testing.assert_close(one.vector, two.vector)
    torch.testing.assert_close(one.attention[order], two.attention)


def test_empty_cells_are_not_attended_to() -> None:
    net = _net(**_SMALL_VIT)
    features, rowcol = _tiles(4)
    is_there = torch.zeros(1, 4, 4, dtype=torch.bool)
    is_there[0, :2] = True
    grid = features.view(1, 4, 4, 8)
    one = net.region_encoder(RegionInputs(grid, is_there))
    two = net.region_encoder(RegionInputs(grid + 9 * ~is_there.unsqueeze(3), is_there))
    torch.testing.assert_close(one.vector, two.vector)
    assert one.attention[~is_there].abs().sum() == 0
    moved = net.describe(features, rowcol + 50).vector
    torch.testing.assert_close(net.describe(features, rowcol).vector, moved)


def test_tiles_in_regions_that_are_too_empty_have_no_attention() -> None:
    net = _net(**_SMALL_VIT)
    features, rowcol = _tiles(5)  # one full region of 16, three strips
    said = net.describe(features, rowcol)
    inside = (rowcol < 4).all(1)
    strips = ((rowcol[:, 0] == 4) & (rowcol[:, 1] == 4)).nonzero()
    assert said.attention[strips].abs().sum() == 0  # the corner region holds 1 of 16
    assert bool((said.attention[inside] > 0).all())


def test_positions_are_asked_for_where_they_are_needed() -> None:
    with pytest.raises(ModelError, match=r"set slpd\.region_encoder to mlp"):
        _net(**_SMALL_VIT).describe(torch.ones(3, 8))


def test_auto_takes_vectors_for_regions_in_feature_files() -> None:
    assert _net().grid == 0
    assert _net(**_SMALL_VIT).grid == 4
