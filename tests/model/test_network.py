"""The assembled network: size, encoders, freezing, weights."""

import pytest
import torch
from safetensors.torch import save_file

from napari_dre_slcl.config import EncoderConfig, load_preset, with_overrides
from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.network import DreSlclNet
from napari_dre_slcl.model.residual_sums import ResidualSums
from napari_dre_slcl.model.tile_encoder import TileEncoder

TINY = EncoderConfig(name="test_vit", input_px=32)


@pytest.mark.parametrize(("preset", "least"), [("paper", 26e6), ("default", 23e6)])
def test_the_network_has_fewer_than_27_million_parameters(preset: str, least: float) -> None:
    net = DreSlclNet(load_preset(preset), [2, 2, 2, 2, 2, 2], text_dim=4096)
    assert least < sum(parameter.numel() for parameter in net.parameters()) < 27e6


def test_the_default_encoder_has_the_size_of_vit_s_at_256() -> None:
    encoder = TileEncoder(load_preset("default").encoder)
    assert encoder.dim == 384
    count = sum(parameter.numel() for parameter in encoder.parameters())
    assert count == pytest.approx(21.67e6, rel=0.005)


def test_features_are_unit_vectors() -> None:
    features = TileEncoder(TINY)(torch.rand(3, 3, 32, 32))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(("blocks", "trained"), [(-1, "all"), (0, "none"), (1, "some")])
def test_blocks_freeze_as_asked(blocks: int, trained: str) -> None:
    encoder = TileEncoder(TINY.model_copy(update={"trainable_blocks": blocks}))
    flags = [parameter.requires_grad for parameter in encoder.parameters()]
    assert {"all": all(flags), "none": not any(flags), "some": any(flags) and not all(flags)}[
        trained
    ]


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_local_weights_are_loaded(tmp_path, suffix: str) -> None:
    torch.manual_seed(0)
    state = TileEncoder(TINY).backbone.state_dict()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    torch.manual_seed(1)
    loaded = TileEncoder(TINY.model_copy(update={"weights": path})).backbone.state_dict()
    assert all(torch.equal(state[name], loaded[name]) for name in state)


def test_weights_of_another_encoder_are_refused(tmp_path) -> None:
    save_file({"stem.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    config = TINY.model_copy(update={"weights": tmp_path / "other.safetensors"})
    with pytest.raises(ModelError, match="do not fit the tile encoder"):
        TileEncoder(config)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, suffix: str) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("not weights")
    with pytest.raises(ModelError, match="no safetensors file and no plain PyTorch"):
        TileEncoder(TINY.model_copy(update={"weights": path}))


def test_missing_weights_are_named(tmp_path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.pth' cannot be read"):
        TileEncoder(TINY.model_copy(update={"weights": tmp_path / "nowhere.pth"}))


def test_an_unknown_encoder_is_refused_with_similar_names() -> None:
    with pytest.raises(ConfigError, match=r"timm has no model 'resnet_of_my_own'.*Similar names"):
        TileEncoder(EncoderConfig(name="resnet_of_my_own"))


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    config = with_overrides(load_preset("cpu-small"), {"residual.heads": 5})
    with pytest.raises(ConfigError, match=r"residual\.heads=5 does not divide"):
        DreSlclNet(config, [2], 0)


def test_the_temperature_never_falls_below_a_hundredth() -> None:
    net = DreSlclNet(with_overrides(load_preset("cpu-small"), {"encoder.input_px": 32}), [2], 4)
    assert net.scale.item() == pytest.approx(1 / 0.07)
    with torch.no_grad():
        net.log_scale.fill_(50.0)
    assert net.scale.item() == 100


def test_the_paper_preset_is_the_literal_form() -> None:
    settings = load_preset("paper")
    net = DreSlclNet(settings, [2], text_dim=4096)
    assert net.tile_attention is None
    assert net.residual_encoder.from_mean is None
    assert len(net.codewords) == 16
    assert sum(parameter.numel() for parameter in net.parameters()) < 27e6
    features = torch.nn.functional.normalize(torch.randn(20, 384), dim=1)
    net.set_codebook(features[:16] * 0.9, features)
    sums = net.sums(features)
    # Neither the mass of a codeword nor the scale of the residuals matters, only their direction.
    other = ResidualSums(3 * sums.residual, 7 * sums.mass, sums.count)
    net.eval()
    torch.testing.assert_close(net.encode_slides(other).vector, net.encode_slides(sums).vector)
    training = settings.training
    assert training.bank_tiles is None
    assert (training.tile_dropout, training.rescale_gradient) == (0, False)


def test_any_module_that_makes_unit_rows_serves_as_encoder() -> None:
    class Given(torch.nn.Module):
        dim, is_trainable, takes_pixels = 12, False, False

    config = with_overrides(load_preset("cpu-small"), {"residual.heads": 4})
    assert DreSlclNet(config, [2], 0, Given()).codewords.shape == (8, 12)
