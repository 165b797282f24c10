"""The running centre: constants within a step, moved once after it, kept with the weights."""

from __future__ import annotations

import pytest
import torch

from napari_dre_slcl.config import EncoderConfig
from napari_dre_slcl.model.running_centre import RunningCentre
from napari_dre_slcl.model.tile_encoder import TileEncoder

TINY = EncoderConfig(name="test_vit", input_px=32, centre="running")


def _encoder() -> TileEncoder:
    torch.manual_seed(0)
    return TileEncoder(TINY)


def test_the_first_step_is_taken_whole_and_the_next_by_a_tenth() -> None:
    centre = RunningCentre(2)
    centre(torch.tensor([[1.0, 10.0], [3.0, 10.0]]))
    assert centre.mean.tolist() == [0, 0]
    centre.update()
    torch.testing.assert_close(centre.mean, torch.tensor([2.0, 10.0]))
    torch.testing.assert_close(centre.var, torch.tensor([1.0, 0.0]))
    centre(torch.tensor([[4.0, 0.0], [4.0, 0.0]]))
    centre.update()
    torch.testing.assert_close(centre.mean, torch.tensor([2.2, 9.0]))
    torch.testing.assert_close(centre.var, torch.tensor([0.9, 0.0]))
    centre.update()
    assert int(centre.n_updates) == 2


@pytest.mark.parametrize("passes", [1, 2])
def test_pieces_and_second_passes_give_the_same_figures(passes: int) -> None:
    features = torch.randn(10, 4) + 3
    whole, pieces = RunningCentre(4), RunningCentre(4)
    whole(features)
    for _ in range(passes):
        for piece in features.split(3):
            pieces(piece)
    whole.update()
    pieces.update()
    torch.testing.assert_close(pieces.mean, whole.mean)
    torch.testing.assert_close(pieces.var, whole.var)


def test_evaluation_changes_nothing() -> None:
    encoder = _encoder().eval()
    encoder(torch.rand(3, 3, 32, 32))
    encoder.end_step()
    assert int(encoder.centre.n_updates) == 0


def test_calibrated_features_spread_over_the_sphere() -> None:
    encoder, tiles = _encoder().eval(), torch.rand(40, 3, 32, 32)
    alike = encoder(tiles).mean(0).norm()
    encoder.calibrate(tiles)
    spread = encoder(tiles)
    assert not encoder.training
    assert alike > 0.7
    assert spread.mean(0).norm() < 0.3
    torch.testing.assert_close(spread.norm(dim=1), torch.ones(40))
    before = encoder.centre.mean.clone()
    encoder.calibrate(torch.zeros(2, 3, 32, 32))
    assert torch.equal(encoder.centre.mean, before)


def test_a_feature_does_not_depend_on_its_company_and_the_centre_gets_no_gradient() -> None:
    encoder, tiles = _encoder(), torch.rand(6, 3, 32, 32)
    encoder.calibrate(tiles)
    encoder.train()
    torch.testing.assert_close(encoder(tiles)[:2], encoder(tiles[:2]), atol=1e-5, rtol=1e-4)
    encoder(tiles).square().sum().backward()
    assert not encoder.centre.mean.requires_grad


def test_the_centre_is_kept_with_the_weights() -> None:
    encoder, tiles = _encoder(), torch.rand(6, 3, 32, 32)
    encoder.calibrate(tiles)
    again = TileEncoder(TINY)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.eval()(tiles), encoder.eval()(tiles))
    plain = TileEncoder(TINY.model_copy(update={"centre": "none"}))
    assert encoder.state_dict().keys() - plain.state_dict().keys() == {
        "centre.mean",
        "centre.var",
        "centre.n_updates",
    }
