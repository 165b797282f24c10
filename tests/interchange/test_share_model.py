"""A shared model: what a hub reads of its card, what is not told, and that it comes back whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from napari_dre_slcl.cli import main
from napari_dre_slcl.cohort import Task
from napari_dre_slcl.config import load_preset, with_overrides
from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.model.bundle import Bundle, load_bundle, save_bundle
from napari_dre_slcl.model.encoders import build_encoder
from napari_dre_slcl.model.nets import build_net

HOW = "it needs huggingface-hub, of the extra 'text'"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run whose model was trained on feature files of a folder that tells who."""
    settings = {"features.folder": "/home/jane/features", "residual.heads": 1}
    settings |= {"text.cache": "/home/jane/cache.h5", "features.adapter_width": 8}
    config = with_overrides(load_preset("cpu-small"), settings)
    torch.manual_seed(0)
    net = build_net(config, [2], 0, build_encoder(config, 8))
    bundle = Bundle(net, config, (Task("subtype", ("LUAD", "LUSC"), "LUSC"),), 0)
    save_bundle(bundle, tmp_path / "run/model", {"training_slides": 7})
    figures = {"test/auc/subtype": 0.8125, "test/slides": 10}
    (tmp_path / "run/metrics.json").write_text(json.dumps(figures))
    return tmp_path / "run"


def test_the_card_is_what_the_hub_reads(run: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub", reason=HOW)
    out = tmp_path / "lung"
    arguments = ["share", str(run), "--out", str(out), "--license", "cc-by-4.0", "--tag", "lung"]
    assert main(arguments) == 0
    told = hub.metadata_load(out / "README.md")
    assert told["license"] == "cc-by-4.0"
    card = hub.ModelCard.load(out / "README.md")
    assert card.data.library_name == "napari-dre-slcl"
    assert card.data.pipeline_tag == "image-classification"
    assert {"lung", "dre-slcl", "whole-slide-image"} <= set(card.data.tags)
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("roc_auc", 0.8125)
    assert (result.task_name, result.dataset_type) == ("subtype", "private")
    assert "auc of subtype: 0.812" in card.text
    assert "It is no medical device" in card.text
    assert "## Licence of the weights\n\ncc-by-4.0." in card.text


def test_paths_and_words_of_the_reports_stay_behind(run: Path, tmp_path: Path) -> None:
    (run / "model/text").mkdir()
    (run / "model/text/words.json").write_text("[]")
    header = json.loads((run / "model/model.json").read_text())
    header["text_sha256"] = "ab" * 32
    (run / "model/model.json").write_text(json.dumps(header))
    base = ["share", str(run), "--license", "other", "--out"]
    assert main([*base, str(tmp_path / "bare")]) == 0
    assert main([*base, str(tmp_path / "words"), "--with-words"]) == 0
    assert {path.name for path in (tmp_path / "bare").iterdir()} == {
        "README.md",
        "model.json",
        "model.safetensors",
    }
    assert (tmp_path / "words/text/words.json").read_text() == "[]"
    for file in (tmp_path / "bare").iterdir():
        assert b"jane" not in file.read_bytes()
    assert "text_sha256" not in json.loads((tmp_path / "bare/model.json").read_text())
    assert load_bundle(run).config.features.folder is not None  # the run is as it was


def test_what_comes_back_from_the_hub_is_the_model(run: Path, tmp_path: Path) -> None:
    """A download is a folder of links into ``blobs`` beside it (the layout of its cache)."""
    assert main(["share", str(run), "--out", str(tmp_path / "out"), "--license", "mit"]) == 0
    cache = tmp_path / "models--owner--lung"
    snapshot = cache / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for number, file in enumerate(sorted((tmp_path / "out").iterdir())):
        shutil.copy(file, cache / "blobs" / str(number))
        (snapshot / file.name).symlink_to(Path("../../blobs") / str(number))
    state, again = load_bundle(run).net.state_dict(), load_bundle(snapshot).net.state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)
    (snapshot / "model.json").unlink()
    (snapshot / "model.json").symlink_to(run / "model/model.json")
    with pytest.raises(ModelError, match="leads out of the folder"):
        load_bundle(snapshot)


def test_a_licence_that_is_none_and_a_folder_that_is_there_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["share", str(run), "--out"]
    assert main([*base, str(tmp_path / "out"), "--license", "CC BY 4.0"]) == 2
    assert main([*base, str(run), "--license", "mit"]) == 2
    told = capsys.readouterr().err
    assert "is no name of a licence" in told
    assert "exists already" in told
    assert not (tmp_path / "out").exists()
