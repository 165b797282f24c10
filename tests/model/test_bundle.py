"""Model folders: what goes in comes out, and damage is noticed."""

import json
from pathlib import Path

import pytest
import torch

from napari_dre_slcl.cohort import Task
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle
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
