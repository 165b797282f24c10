"""The tile encoder: what trains, in which type it computes, and what it refuses."""

from __future__ import annotations

import copy
import json
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

from napari_dre_slcl.config import EncoderConfig, load_preset, with_overrides
from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.encoders import build_encoder, encoder_sha256, normalises_by_batch
from napari_dre_slcl.model.precision import compute_dtype, needs_scaler
from napari_dre_slcl.model.tile_encoder import TileEncoder

TINY = EncoderConfig(name="test_vit", input_px=32)
CPU = torch.device("cpu")


def _tiny(**options: object) -> TileEncoder:
    torch.manual_seed(0)
    return TileEncoder(TINY.model_copy(update=options))


@pytest.mark.parametrize(
    "name", ["test_vit", "test_efficientnet_gn", "test_resnet", "test_convnext"]
)
def test_any_backbone_gives_unit_rows_of_its_width(name: str) -> None:
    encoder = _tiny(name=name).eval()
    pixels = encoder.prepare(torch.randint(0, 255, (3, 32, 32, 3), dtype=torch.uint8), CPU)
    features = encoder(pixels)
    assert features.shape == (3, encoder.dim)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "n", "trained", "frozen"),
    [
        ("test_vit", 1, ("blocks.5", "norm"), ("pos_embed", "patch_embed.proj", "blocks.4")),
        ("test_resnet", 2, ("layer3", "layer4"), ("conv1", "layer2")),
        ("test_efficientnet_gn", 1, ("blocks.4", "conv_head"), ("conv_stem", "blocks.3")),
        ("test_convnext", 1, ("stages.3", "head.norm"), ("stem", "stages.2")),
    ],
)
def test_the_last_blocks_and_what_follows_train(name, n, trained, frozen) -> None:
    encoder = _tiny(name=name, trainable_blocks=n)
    flags = {key: value.requires_grad for key, value in encoder.backbone.named_parameters()}
    for wanted, starts in ((True, trained), (False, frozen)):
        for start in starts:
            found = [flag for key, flag in flags.items() if key.startswith(start)]
            assert found
            assert set(found) == {wanted}, start


def test_more_blocks_than_there_are_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"trainable_blocks=9, but 'test_vit' has 6 blocks"):
        _tiny(trainable_blocks=9)


@pytest.mark.parametrize(("n", "moving"), [(-1, {1, 2, 3, 4}), (0, set()), (2, {3, 4})])
def test_frozen_batch_statistics_stay_as_they_are_in_training(n: int, moving: set) -> None:
    encoder = _tiny(name="test_resnet", trainable_blocks=n).train()
    before = copy.deepcopy(encoder.backbone.state_dict())
    encoder(torch.rand(4, 3, 32, 32))
    after = encoder.backbone.state_dict()
    changed = {
        int(name[len("layer")])
        for name in before
        if name.startswith("layer") and not torch.equal(before[name], after[name])
    }
    assert changed == moving
    assert encoder.training


def test_recomputed_inner_values_give_the_same_gradient() -> None:
    tiles = torch.rand(2, 3, 32, 32)
    gradients = []
    for checkpointing in (False, True):
        encoder = _tiny(checkpointing=checkpointing).train()
        encoder(tiles).sum(0)[:7].sum().backward()
        assert encoder.backbone.grad_checkpointing == checkpointing
        gradients.append(encoder.backbone.blocks[0].mlp.fc1.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_bf16_computes_in_bf16_and_gives_float32() -> None:
    tiles = torch.rand(2, 3, 32, 32)
    exact, rounded = _tiny().eval()(tiles), _tiny(precision="bf16").eval()(tiles)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    torch.testing.assert_close(exact, rounded, atol=2e-2, rtol=0)
    torch.testing.assert_close(rounded.norm(dim=1), torch.ones(2))


def test_fp16_wants_a_gpu_and_then_a_scaler() -> None:
    gpu = torch.device("cuda")
    assert compute_dtype("fp16", gpu) is torch.float16
    assert (needs_scaler("fp16", gpu), needs_scaler("bf16", gpu)) == (True, False)
    assert compute_dtype("auto", CPU) is compute_dtype("fp16", CPU) is None
    encoder = _tiny(precision="fp16")
    assert "needs a GPU" in encoder.get_ready()[0]
    assert torch.equal(encoder(torch.ones(1, 3, 32, 32)), _tiny()(torch.ones(1, 3, 32, 32)))


def test_channels_last_gives_the_same_features() -> None:
    batch = torch.randint(0, 255, (2, 32, 32, 3), dtype=torch.uint8)
    plain, last = (_tiny(name="test_resnet", channels_last=c).eval() for c in (False, True))
    assert last.prepare(batch, CPU).is_contiguous(memory_format=torch.channels_last)
    assert last.backbone.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    outputs = [encoder(encoder.prepare(batch, CPU)) for encoder in (plain, last)]
    torch.testing.assert_close(*outputs, atol=1e-5, rtol=1e-4)


def test_a_compiled_encoder_keeps_its_names_and_its_features(monkeypatch) -> None:
    # The graph is captured and run for real; generating C++ for it would take a minute here.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    encoder, plain = _tiny(compile=True).eval(), _tiny().eval()
    assert encoder.get_ready() == ()
    assert encoder.state_dict().keys() == plain.state_dict().keys()
    tiles = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(encoder(tiles), plain(tiles))
    copied = copy.deepcopy(encoder)
    with torch.no_grad():
        copied.backbone.norm.bias += 1
    assert not torch.allclose(copied(tiles), encoder(tiles))


def test_without_a_compiler_it_says_so_and_runs(monkeypatch, tmp_path) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    encoder = _tiny(compile=True)
    (sentence,) = encoder.get_ready()
    assert "runs uncompiled, torch.compile fails" in sentence
    tiles = torch.rand(1, 3, 32, 32)
    assert torch.equal(encoder.eval()(tiles), _tiny().eval()(tiles))


def test_an_input_that_is_no_whole_number_of_patches_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"patches of 16 px, so tiles of 40 px.*such as 32"):
        _tiny(input_px=40)


def _hub(folder, monkeypatch):
    """Lay a model into an empty hub cache, as a download would, and go offline."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    home = folder / "models--someone--tiny"
    snapshot = home / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    source = _tiny()
    config = {
        "architecture": "test_vit",
        "num_classes": 0,
        "num_features": 64,
        "pretrained_cfg": {
            "num_classes": 0,
            "input_size": [3, 160, 160],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.5, 0.5, 0.5],
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
        "model_args": {"init_values": 0.25},
    }
    (snapshot / "config.json").write_text(json.dumps(config))
    scales = {
        f"blocks.{i}.{part}.gamma": torch.full((64,), 0.5)
        for i in range(6)
        for part in ("ls1", "ls2")
    }
    save_file(source.backbone.state_dict() | scales, snapshot / "model.safetensors")
    return source


def test_a_model_of_the_hub_brings_weights_and_architecture(tmp_path, monkeypatch) -> None:
    source = _hub(tmp_path, monkeypatch)
    config = with_overrides(
        load_preset("default"), {"encoder.name": "hf-hub:someone/tiny", "encoder.input_px": 32}
    )
    encoder = build_encoder(config)
    assert torch.equal(encoder.backbone.norm.weight, source.backbone.norm.weight)
    ours, theirs = encoder.backbone.blocks[2], source.backbone.blocks[2]
    assert torch.equal(ours.attn.qkv.weight, theirs.attn.qkv.weight)
    assert encoder.backbone.blocks[0].ls1.gamma[0] == 0.5
    assert "trained with the input mean (0.1, 0.2, 0.3)" in encoder.get_ready()[0]
    assert (encoder.architecture.name, encoder.architecture.args) == (
        "test_vit",
        {"init_values": 0.25},
    )
    monkeypatch.undo()
    again = build_encoder(config, architecture=encoder.architecture)
    again.load_state_dict(encoder.state_dict())
    assert encoder_sha256(again, config.encoder) == encoder_sha256(encoder, config.encoder)


def test_a_model_that_the_hub_cannot_give_is_a_sentence(tmp_path, monkeypatch) -> None:
    _hub(tmp_path, monkeypatch)
    with pytest.raises(ModelError, match=r"'no/such' cannot be fetched from the Hugging Face hub"):
        TileEncoder(TINY.model_copy(update={"name": "hf-hub:no/such"}))


@pytest.mark.parametrize(
    ("name", "blocks", "does"),
    [("test_vit", -1, False), ("test_resnet", -1, True), ("test_resnet", 0, False)],
)
def test_batch_normalisation_counts_where_it_is_trained(name, blocks, does) -> None:
    encoder = TileEncoder(TINY.model_copy(update={"name": name, "trainable_blocks": blocks}))
    encoder.eval()
    assert normalises_by_batch(encoder) == does
    assert not encoder.backbone.training


def test_the_hash_of_an_encoder_knows_weights_and_scaling() -> None:
    encoder, config = _tiny(), TINY
    first = encoder_sha256(encoder, config)
    assert first == encoder_sha256(_tiny(), config)
    assert first != encoder_sha256(encoder, config.model_copy(update={"mean": (0.4, 0.5, 0.5)}))
    with torch.no_grad():
        encoder.backbone.norm.bias[3] += 1e-6
    assert first != encoder_sha256(encoder, config)
