"""Language models from local folders: real MiniLM, and random small ones of other kinds."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from napari_dre_slcl.errors import ConfigError, ModelError
from napari_dre_slcl.model.text_encoder import LanguageModel, load_language_model
from napari_dre_slcl.model.text_files import find_text_model

LONG = " ".join(f"w{number % 60}" for number in range(75))
SHORT = "w1 w2 w3"


def _load(
    folder: Path,
    kind: Literal["huggingface", "llama"] = "huggingface",
    chunk_tokens: int | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> LanguageModel:
    return load_language_model(
        find_text_model(str(folder)),
        kind=kind,
        chunk_tokens=chunk_tokens,
        dtype=dtype,
        device=torch.device(device),
    )


def _llama_means(folder: Path, texts: list[str]) -> torch.Tensor:
    """Return the mean last-layer state over the tokens behind the start token, by hand."""
    from transformers import LlamaModel

    net = LlamaModel.from_pretrained(folder, local_files_only=True).eval()
    with torch.no_grad():
        return torch.stack(
            [
                net(input_ids=torch.tensor([[0, *(int(w[1:]) + 4 for w in text.split())]]))
                .last_hidden_state[0, 1:]
                .mean(0)
                for text in texts
            ]
        )


def test_minilm_equals_the_mean_over_its_tokens_by_hand(
    minilm: Path, network_attempts: list[object]
) -> None:
    model = _load(minilm)
    texts = ["Squamous cell carcinoma, keratin pearls.", "Adenocarcinoma.", ""]
    vectors = model.encode(texts)

    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(minilm, local_files_only=True)
    net = AutoModel.from_pretrained(minilm, local_files_only=True).eval()
    for text, vector in zip(texts[:2], vectors, strict=False):
        with torch.no_grad():
            states = net(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        expected = functional.normalize(states.mean(0), dim=0)
        torch.testing.assert_close(torch.from_numpy(vector), expected, atol=1e-5, rtol=0)
    assert vectors.dtype == np.float32
    assert not vectors[2].any()
    assert not network_attempts


def test_minilm_reads_what_its_position_table_holds_and_nothing_is_cut(minilm: Path) -> None:
    model = _load(minilm)
    assert model.chunk_tokens == 512  # not the 256 of sentence_bert_config.json
    text = "lung " * 520
    embedded = model.embed([text, text + "necrosis"])
    assert embedded.n_chunks == (2, 2)
    assert np.abs(embedded.vectors[0] - embedded.vectors[1]).max() > 1e-3  # the last word counts


def test_llama_takes_the_mean_over_the_reports_own_tokens(
    tiny_llama: Path, network_attempts: list[object]
) -> None:
    vectors = _load(tiny_llama, "llama").encode([SHORT, "w7", ""])
    expected = functional.normalize(_llama_means(tiny_llama, [SHORT, "w7"]), dim=1)
    torch.testing.assert_close(torch.from_numpy(vectors[:2]), expected, atol=1e-5, rtol=0)
    assert not vectors[2].any()
    assert not network_attempts


def test_chunks_are_averaged_by_their_real_tokens(tiny_llama: Path) -> None:
    embedded = _load(tiny_llama, "llama").embed([LONG])
    words = LONG.split()
    parts = [words[:31], words[31:62], words[62:]]  # 32 positions, one of them the start token
    means = _llama_means(tiny_llama, [" ".join(part) for part in parts])
    weights = torch.tensor([31.0, 31.0, 13.0])
    expected = functional.normalize((means * weights[:, None]).sum(0) / 75, dim=0)
    torch.testing.assert_close(torch.from_numpy(embedded.vectors[0]), expected, atol=1e-5, rtol=0)
    assert embedded.n_chunks == (3,)


def test_a_report_does_not_depend_on_those_read_beside_it(tiny_llama: Path) -> None:
    model = _load(tiny_llama, "llama")
    together = model.encode([SHORT, LONG, "w9 w8"])
    alone = np.concatenate([model.encode([text]) for text in (SHORT, LONG, "w9 w8")])
    np.testing.assert_array_equal(together, alone)


def test_half_precision_stays_close(tiny_llama: Path) -> None:
    full = _load(tiny_llama, "llama").encode([LONG])
    half = _load(tiny_llama, "llama", dtype=torch.bfloat16).encode([LONG])
    assert half.dtype == np.float32
    assert float((full @ half.T).item()) > 0.99


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_float16_on_the_gpu_stays_close(tiny_llama: Path) -> None:
    texts = [SHORT, LONG, ""]
    on_cpu = _load(tiny_llama, "llama").encode(texts)
    on_gpu = _load(tiny_llama, "llama", dtype=torch.float16, device="cuda").encode(texts)
    assert (on_cpu * on_gpu).sum(1) == pytest.approx([1, 1, 0], abs=1e-2)


def test_positions_behind_a_padding_index_are_left_free(
    language_model_folder: Callable[..., Path], tmp_path: Path
) -> None:
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=22,
        type_vocab_size=1,
    )
    folder = language_model_folder(tmp_path / "roberta", RobertaModel(config), "<s> $A </s>")
    model = _load(folder)
    assert model.chunk_tokens == 20
    embedded = model.embed([LONG])
    assert embedded.n_chunks == (5,)  # 18 words each
    assert np.linalg.norm(embedded.vectors[0]) == pytest.approx(1)


def test_an_encoder_and_decoder_model_lends_its_encoder(
    language_model_folder: Callable[..., Path], tmp_path: Path
) -> None:
    from transformers import T5Config, T5Model

    config = T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, pad_token_id=1
    )
    net = T5Model(config).eval()
    folder = language_model_folder(tmp_path / "t5", net, "$A </s>")
    vector = torch.from_numpy(_load(folder).encode([SHORT])[0])
    with torch.no_grad():
        states = net.encoder(input_ids=torch.tensor([[5, 6, 7, 2]])).last_hidden_state[0]
    torch.testing.assert_close(
        vector, functional.normalize(states.mean(0), dim=0), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("layout", ["flags", "name"])
def test_sentence_transformers_pooling_is_followed(
    tiny_llama: Path, tmp_path: Path, layout: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llama, folder / "0_Transformer")
    kinds = {"0_Transformer": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"}
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"flags": {"pooling_mode_lasttoken": True}, "name": {"pooling_mode": "lasttoken"}}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling[layout]))
    files = find_text_model(str(folder))
    assert (files.pooling, files.unused) == (("lasttoken",), ("Dense",))
    last = _load(folder).encode(["w1 w2 w3"])
    assert np.abs(last - _load(tiny_llama).encode(["w1 w2 w3"])).max() > 1e-3
    np.testing.assert_allclose(last, _load(folder).encode(["w1 w2 w3", LONG])[:1], atol=1e-6)


def test_chunks_longer_than_the_model_are_refused(tiny_llama: Path) -> None:
    with pytest.raises(ConfigError, match="chunk_tokens=64 is more than the 32 tokens"):
        _load(tiny_llama, "llama", chunk_tokens=64)
    assert _load(tiny_llama, "llama", chunk_tokens=16).embed([LONG]).n_chunks == (5,)


def test_weights_that_lack_a_tensor_are_refused(tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 tensors, among them .*up_proj"):
        _load(folder, "llama")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_folder_gives_a_sentence(tiny_llama: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"cannot be loaded: .*Get its folder again"):
        _load(folder, "llama")


def test_numbers_that_are_not_finite_are_refused(tiny_llama: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="not finite"):
        _load(folder, "llama").encode([SHORT])


def test_without_transformers_the_sentence_says_how_to_get_it(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'napari-dre-slcl\[text\]'"):
        _load(tiny_llama)
