"""Pretraining brings views of a tile together, and goes on where it stopped."""

import copy

import pytest
import torch

from napari_dre_slcl.config import EncoderConfig, PretrainConfig
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.pretrain import TilePretrainer
from napari_dre_slcl.model.tile_encoder import TileEncoder


def _encoder(**changed: object) -> TileEncoder:
    torch.manual_seed(0)
    return TileEncoder(EncoderConfig(name="test_efficientnet_gn", input_px=32, **changed))


def _tiles(n: int, seed: int = 0) -> torch.Tensor:
    """Tiles of one colour each, with a little noise."""
    generator = torch.Generator().manual_seed(seed)
    colours = torch.randint(40, 220, (n, 1, 1, 3), generator=generator)
    noise = torch.randint(-20, 20, (n, 32, 32, 3), generator=generator)
    return (colours + noise).to(torch.uint8)


def _pretrainer(encoder: TileEncoder, tint: float = 0.2) -> TilePretrainer:
    return TilePretrainer(encoder, PretrainConfig(lr=3e-3), total_steps=20, seed=1, tint=tint)


def test_loss_falls_and_weights_change() -> None:
    encoder = _encoder()
    before = copy.deepcopy(encoder.state_dict())
    pretrainer = _pretrainer(encoder)
    losses = [pretrainer.step(_tiles(16, seed)) for seed in range(20)]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    after = encoder.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_going_on_from_a_state_takes_the_same_steps() -> None:
    encoder = _encoder()
    whole = _pretrainer(encoder)
    for seed in range(3):
        whole.step(_tiles(8, seed))
    state = copy.deepcopy(whole.state_dict())
    expected = [whole.step(_tiles(8, seed)) for seed in range(3, 6)]

    other = _encoder()
    resumed = _pretrainer(other)
    resumed.load_state_dict(state)
    assert [resumed.step(_tiles(8, seed)) for seed in range(3, 6)] == expected
    assert all(
        torch.equal(one, two)
        for one, two in zip(encoder.parameters(), other.parameters(), strict=True)
    )


def test_steps_differ_in_their_views() -> None:
    losses = []
    for steps_taken in (0, 1):
        pretrainer = _pretrainer(_encoder())
        pretrainer.steps_taken = steps_taken
        losses.append(pretrainer.step(_tiles(8)))
    assert losses[0] != losses[1]


def test_a_frozen_encoder_is_pretrained_as_a_whole_and_frozen_again() -> None:
    frozen, free = _encoder(trainable_blocks=0), _encoder()
    for encoder in (frozen, free):
        _pretrainer(encoder).step(_tiles(8))
    assert not any(weight.requires_grad for weight in frozen.parameters())
    assert not any(module.training for module in frozen.backbone.modules())
    assert all(
        torch.equal(one, two)
        for one, two in zip(frozen.parameters(), free.parameters(), strict=True)
    )


def test_frozen_blocks_of_a_trained_encoder_stay_as_they_are() -> None:
    encoder = _encoder(trainable_blocks=1)
    stem = encoder.backbone.conv_stem.weight.clone()
    last = encoder.backbone.blocks[-1][0].conv_pw.weight.clone()
    _pretrainer(encoder).step(_tiles(8))
    assert torch.equal(encoder.backbone.conv_stem.weight, stem)
    assert not torch.equal(encoder.backbone.blocks[-1][0].conv_pw.weight, last)


def test_a_single_tile_is_refused() -> None:
    with pytest.raises(ModelError, match="at least two tiles"):
        _pretrainer(_encoder()).step(_tiles(1))


def test_a_loss_that_is_no_number_is_refused_and_changes_nothing() -> None:
    encoder = _encoder()
    pretrainer = _pretrainer(encoder)
    with torch.no_grad():
        pretrainer.projector[-1].bias.fill_(float("nan"))
    before = [weight.clone() for weight in encoder.parameters()]
    with pytest.raises(ModelError, match="no longer a number"):
        pretrainer.step(_tiles(4))
    assert all(torch.equal(one, two) for one, two in zip(before, encoder.parameters(), strict=True))
