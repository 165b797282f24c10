"""Model folders: what goes in comes out, and damage is noticed."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from napari_dre_slcl.cohort import Task
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.backbone import Architecture
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.network import DreSlclNet

TASKS = (Task("cancer", ("normal", "cancer"), "cancer"), Task("grade", ("1", "2", "3"), None))


@pytest.fixture
def bundle() -> Bundle:
    config = with_overrides(
        load_preset("cpu-small"), {"encoder.name": "test_vit", "encoder.input_px": 32}
    )
    torch.manual_seed(0)
    return Bundle(DreSlclNet(config, [2, 3], 5), config, TASKS, 5)


def test_a_saved_model_comes_back_equal(bundle: Bundle, tmp_path: Path) -> None:
    loaded = load_bundle(save_bundle(bundle, tmp_path / "model", {"training_slides": 7}))
    assert (loaded.config, loaded.tasks, loaded.text_dim) == (bundle.config, TASKS, 5)
    state, again = bundle.net.state_dict(), loaded.net.state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert not loaded.net.training


def test_the_folder_holds_weights_header_and_card(bundle: Bundle, tmp_path: Path) -> None:
    folder = save_bundle(bundle, tmp_path / "run" / "model", {"training_slides": 7})
    names = {path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "model.json", "MODEL_CARD.md"}
    assert "cancer: normal, cancer" in (folder / "MODEL_CARD.md").read_text()
    assert json.loads((folder / "model.json").read_text())["training_slides"] == 7
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_the_header_says_what_predicts_and_what_it_came_from(
    bundle: Bundle, tmp_path: Path
) -> None:
    folder = save_bundle(bundle, tmp_path / "model", {"cohort_sha256": "c" * 64})
    header = json.loads((folder / "model.json").read_text())
    assert header["format"] == 2
    assert header["input"] == {
        "tile_px": 256,
        "mpp": 0.5,
        "input_px": 32,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
    }
    assert header["encoder"]["architecture"] == {"name": "test_vit", "args": {}}
    assert len(header["encoder"]["sha256"]) == len(header["weights_sha256"]) == 64
    assert header["codewords"] == [f"codeword {k}" for k in range(1, 9)]
    assert header["text_encoder"] == {"kind": "tfidf-svd", "model": None}
    assert {"napari-dre-slcl", "torch", "timm"} <= header["versions"].keys()


def test_the_card_has_every_section_and_the_figures_that_are_known(
    bundle: Bundle, tmp_path: Path
) -> None:
    facts = {
        "training_slides": 1234,
        "training_patients": 7,
        "cohort_sha256": "c" * 64,
        "metrics": {"auc/cancer": {"mean": 0.9312, "std": 0.0204, "n": 15}, "auc/grade": 0.7},
    }
    card = (save_bundle(bundle, tmp_path / "model", facts) / "MODEL_CARD.md").read_text()
    sections = [line[3:] for line in card.splitlines() if line.startswith("## ")]
    assert sections == [
        "What it is",
        "Training data",
        "Words of the reports",
        "Tasks",
        "Metrics",
        "Intended use",
        "Limits",
        "Licence of the weights",
        "Versions and hashes",
    ]
    for words in (
        "- slides: 1,234",
        "- patients: 7",
        "auc/cancer: 0.931 ± 0.020 (n = 15)",
        "auc/grade: 0.700, one split, spread unknown",
        "test_vit, started from random numbers, on tiles of 256 px at 0.5 µm/px, shrunk to 32",
        "c" * 64,
    ):
        assert words in card
    bare = (save_bundle(bundle, tmp_path / "bare", {}) / "MODEL_CARD.md").read_text()
    assert "Not recorded." in bare
    assert "None were known when the model was saved" in bare


def test_what_training_began_from_is_not_needed(bundle: Bundle, tmp_path: Path) -> None:
    """Neither the hub's name nor the first weights or the feature folder are looked up."""
    config = with_overrides(
        bundle.config,
        {
            "encoder.name": "hf-hub:nobody/nothing",
            "encoder.weights": str(tmp_path / "gone.pth"),
            "encoder.weights_sha256": "a" * 64,
            "features.fill_from": str(tmp_path / "gone"),
        },
    )
    encoder = build_encoder(config, architecture=Architecture("test_vit", {"init_values": 0.5}))
    net = DreSlclNet(config, [2, 3], 5, encoder)
    folder = save_bundle(Bundle(net, config, TASKS, 5), tmp_path / "model", {})
    loaded = load_bundle(Path(shutil.move(folder, tmp_path / "moved")))
    assert loaded.config == config
    state, again = net.state_dict(), loaded.net.state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert float(again["encoder.backbone.blocks.0.ls1.gamma"][0]) == 0.5


def test_a_model_of_feature_files_comes_back(bundle: Bundle, tmp_path: Path) -> None:
    config = with_overrides(
        bundle.config, {"features.folder": str(tmp_path / "gone"), "features.adapter": "linear"}
    )
    net = DreSlclNet(config, [2, 3], 0, build_encoder(config, 24))
    loaded = load_bundle(save_bundle(Bundle(net, config, TASKS, 0), tmp_path / "model", {}))
    assert (loaded.feature_dim, bundle.feature_dim) == (24, None)
    assert torch.equal(loaded.net.encoder.linear.weight, torch.eye(24))
    card = (tmp_path / "model" / "MODEL_CARD.md").read_text()
    assert "feature files (HDF5) of 24 numbers per tile, with the adapter 'linear'" in card
    assert "Trained without reports." in card


def test_a_model_of_the_first_format_still_loads(bundle: Bundle, tmp_path: Path) -> None:
    """Its header had fewer settings; they are taken as they were then, whatever is default now."""
    folder = save_bundle(bundle, tmp_path / "model", {})
    header = json.loads((folder / "model.json").read_text())
    config = {
        section: values
        for section, values in header["config"].items()
        if section not in ("features", "pretrain")
    }
    for section, names in {
        "encoder": ("precision", "checkpointing", "channels_last", "compile"),
        "residual": ("tokens", "mass_bias", "pooling"),
        "loss": ("view_weight", "view_temperature"),
    }.items():
        config[section] = {k: v for k, v in config[section].items() if k not in names}
    del config["encoder"]["weights_sha256"]
    kept = ("created", "versions", "weights_sha256", "tasks", "text_dim")
    old = {"format": 1, "config": config} | {name: header[name] for name in kept}
    (folder / "model.json").write_text(json.dumps(old))
    loaded = load_bundle(folder)
    assert loaded.config.encoder.precision == "fp32"
    assert loaded.config.residual.tokens == "sum"
    state, again = bundle.net.state_dict(), loaded.net.state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)


def test_a_run_folder_serves_as_well(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "run" / "model", {})
    assert load_bundle(tmp_path / "run").tasks == TASKS


def test_an_existing_model_is_never_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    save_bundle(bundle, tmp_path / "model", {})
    with pytest.raises(ModelError, match="exists already"):
        save_bundle(bundle, tmp_path / "model", {})


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no model folder: 'model\.json' cannot be read"):
        load_bundle(tmp_path)


def test_changed_weights_are_noticed(bundle: Bundle, tmp_path: Path) -> None:
    weights = save_bundle(bundle, tmp_path / "model", {}) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="damaged: their hash differs"):
        load_bundle(tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 99}, "has format 99"),
        ({"tasks": [{"name": "x"}]}, "does not fit this version"),
        ({"text_dim": 6}, "does not fit this version"),
        ({"encoder": "test_vit"}, "does not fit this version"),
        ({"config": {"method": "other"}}, "does not fit this version"),
    ],
)
def test_a_header_of_another_kind_is_refused(bundle, tmp_path, change, sentence: str) -> None:
    header = save_bundle(bundle, tmp_path / "model", {}) / "model.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | change))
    with pytest.raises(ModelError, match=sentence):
        load_bundle(tmp_path / "model")


def test_a_header_that_is_no_json_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    header = save_bundle(bundle, tmp_path / "model", {}) / "model.json"
    header.write_text("{ not json")
    with pytest.raises(ModelError, match=r"model\.json' is damaged"):
        load_bundle(tmp_path / "model")
