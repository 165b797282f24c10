"""Local weights: every wrapping that checkpoints come in, and what is refused by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_dre_slcl.config import EncoderConfig
from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.backbone import make_backbone
from napari_dre_slcl.model.hipt_weights import resample_positions
from napari_dre_slcl.model.tile_encoder import TileEncoder

TINY = EncoderConfig(name="test_vit", input_px=32)


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return TileEncoder(TINY).backbone.state_dict()


def _load(path: Path, **options: object) -> TileEncoder:
    torch.manual_seed(1)
    return TileEncoder(TINY.model_copy(update={"weights": path, **options}))


def _assert_loaded(encoder: TileEncoder, state: dict[str, torch.Tensor]) -> None:
    loaded = encoder.backbone.state_dict()
    assert all(torch.equal(state[name], loaded[name]) for name in state)


@pytest.mark.parametrize("nest", [(), ("state_dict",), ("model",), ("teacher",), ("x", "teacher")])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "module.backbone.", "encoder."])
def test_nested_and_prefixed_weights_are_found(state, tmp_path, nest, prefix: str) -> None:
    content: dict = {f"{prefix}{name}": tensor for name, tensor in state.items()}
    for key in reversed(nest):
        content = {"epoch": 3, "student": {"other": torch.zeros(2)}, key: content}
    path = tmp_path / "weights.pth"
    if nest and nest[0] == "x":
        content = content["x"]
    torch.save(content, path)
    _assert_loaded(_load(path), state)


def test_heads_are_dropped_with_a_word(state, tmp_path) -> None:
    heads = {"head.weight": torch.zeros(7, 64), "head.bias": torch.zeros(7)}
    save_file(state | heads, tmp_path / "w.safetensors")
    encoder = _load(tmp_path / "w.safetensors")
    _assert_loaded(encoder, state)
    (sentence,) = encoder.get_ready()
    assert "'head.bias', 'head.weight' left out" in sentence
    assert encoder.get_ready() == ()


def test_a_dino_checkpoint_of_another_grid_is_resampled(tmp_path) -> None:
    """A table that is linear in row and column stays so on the finer grid, away from its rim."""
    config = EncoderConfig(name="test_vit", input_px=128)
    torch.manual_seed(0)
    coarse = TileEncoder(config)
    table = coarse.backbone.pos_embed.detach().clone()
    n_prefix = coarse.backbone.num_prefix_tokens
    side = coarse.backbone.patch_embed.grid_size[0]
    assert (n_prefix, side) == (1, 8)
    rows = torch.arange(side).float().repeat_interleave(side)
    table[0, n_prefix:] = rows.unsqueeze(1)
    state = coarse.backbone.state_dict() | {"pos_embed": table}
    dino = {f"module.backbone.{name}": tensor for name, tensor in state.items()}
    dino["module.head.mlp.0.weight"] = torch.zeros(4, 64)
    path = tmp_path / "vit256.pth"
    torch.save({"teacher": dino, "student": {}}, path)
    encoder = TileEncoder(config.model_copy(update={"input_px": 256, "weights": path}))
    found = encoder.backbone.pos_embed.detach()
    assert found.shape == (1, 1 + 16 * 16, 64)
    torch.testing.assert_close(found[0, :1], table[0, :1])
    fine = found[0, 1:].reshape(16, 16, 64)
    expected = (torch.arange(16).float() + 0.5) / 2 - 0.5
    torch.testing.assert_close(fine[4:12, 3, 5], expected[4:12], atol=1e-3, rtol=0)
    said = " ".join(encoder.get_ready())
    assert "resampled from 8x8 to 16x16 patches" in said
    assert "'head.mlp.0.weight' left out" in said


def test_positions_of_no_square_are_refused(state, tmp_path) -> None:
    odd = state | {"pos_embed": torch.zeros(1, 8, 64)}
    save_file(odd, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="8 positions, which are no square"):
        _load(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"norm.weight": None, "norm.bias": None}, r"lacks 'norm\.weight', 'norm\.bias'"),
        ({f"extra{i}": torch.zeros(1) for i in range(6)}, r"'extra3' and 2 more, which the enc"),
        ({"norm.bias": torch.zeros(5)}, r"'norm\.bias' is \(5,\) there and \(64,\) here"),
    ],
)
def test_weights_that_do_not_fit_are_named(state, tmp_path, change, sentence: str) -> None:
    changed = {name: tensor for name, tensor in (state | change).items() if tensor is not None}
    save_file(changed, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=sentence):
        _load(tmp_path / "w.safetensors")


def test_the_hash_of_the_weights_is_checked(state, tmp_path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    _assert_loaded(_load(path, weights_sha256=right.upper()), state)
    with pytest.raises(ModelError, match=f"SHA-256 {right}, but .*{'0' * 64}"):
        _load(path, weights_sha256="0" * 64)
    with pytest.raises(ConfigError, match=r"but encoder\.weights names none"):
        TileEncoder(TINY.model_copy(update={"weights_sha256": right}))


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"epoch": 3}, {"state_dict": {}}])
def test_a_file_without_named_weights_is_refused(tmp_path, content) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="cannot be used: it holds"):
        _load(tmp_path / "w.pth")


def test_a_file_that_would_run_code_is_not_run(tmp_path) -> None:
    torch.save({"state_dict": Path}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="no plain PyTorch weights file"):
        _load(tmp_path / "w.pth")


def test_a_cut_file_is_refused(state, tmp_path) -> None:
    path = tmp_path / "w.pth"
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"w\.pth'.*(cannot be read|damaged)"):
        _load(path)


_NO_TEXT = b"\x80\x02X\x02\x00\x00\x00\xff\xfe."


@pytest.mark.parametrize("content", [_NO_TEXT, b"u", b"\x80\x02h\x07."])
def test_a_garbled_file_is_refused(tmp_path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"w\.pth'.*(cannot be read|damaged)"):
        _load(tmp_path / "w.pth")


@pytest.mark.parametrize("broken", [torch.full((64,), torch.nan), torch.ones(64, dtype=torch.int8)])
def test_numbers_that_are_no_weights_are_refused(state, tmp_path, broken: torch.Tensor) -> None:
    save_file(state | {"norm.bias": broken}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"damaged: 'norm\.bias' hold what is no finite number"):
        _load(tmp_path / "w.safetensors")


def test_two_networks_in_one_checkpoint_are_refused(state, tmp_path) -> None:
    """Of student and teacher side by side, the one that came last would win unseen."""
    both = {f"module.{name}": value for name, value in state.items()}
    both |= {f"backbone.{name}": value * 0 for name, value in state.items()}
    torch.save(both, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="twice, of two networks"):
        _load(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("name", "is_resampled"), [("cait_xxs24_224", True), ("pit_ti_224", False)]
)
def test_positions_of_other_transformers_are_resampled_or_left(name, is_resampled) -> None:
    backbone, _ = make_backbone(EncoderConfig(name=name, input_px=64))
    state = make_backbone(EncoderConfig(name=name, input_px=32))[0].state_dict()
    before = state["pos_embed"].shape
    assert ("resampled" in resample_positions(state, backbone)) == is_resampled
    assert (state["pos_embed"].shape == before) != is_resampled


def test_a_tag_that_timm_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot build 'test_vit\.nope'.*[Ii]nvalid pretrained"):
        make_backbone(EncoderConfig(name="test_vit.nope", input_px=32))
