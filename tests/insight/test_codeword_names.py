"""Names of codewords live in the model's own folder and nothing else of it changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.insight.codeword_names import MOST_SIGNS, read_names, write_names


@pytest.fixture
def run(tmp_path: Path) -> Path:
    model = tmp_path / "run" / "model"
    model.mkdir(parents=True)
    header = {"format": 2, "codewords": ["codeword 1", "codeword 2", "codeword 3"], "tasks": [1]}
    (model / "model.json").write_text(json.dumps(header))
    return tmp_path / "run"


def test_names_are_kept_and_the_rest_of_the_model_stays(run: Path) -> None:
    assert read_names(run) == ("Codeword 1", "Codeword 2", "Codeword 3")
    now = write_names(run, {1: "  lymphocytes "})
    assert now == ("Codeword 1", "lymphocytes", "Codeword 3")
    assert read_names(run / "model") == now
    header = json.loads((run / "model" / "model.json").read_text())
    assert (header["format"], header["tasks"]) == (2, [1])


def test_an_empty_name_takes_the_name_away(run: Path) -> None:
    write_names(run, ["stroma", "tumour", "glands"])
    assert write_names(run, {0: " "})[0] == "Codeword 1"
    assert read_names(run) == ("Codeword 1", "tumour", "glands")


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (3, "x", "no codeword 4"),
        (-1, "x", "no codeword 0"),
        (0, "x" * (MOST_SIGNS + 1), "at most"),
        (0, "two\nlines", "line ends"),
        (0, "right\u202eleft", "line ends"),
    ],
)
def test_a_bad_name_is_refused_and_nothing_is_written(
    run: Path, number: int, name: str, said: str
) -> None:
    before = (run / "model" / "model.json").read_bytes()
    with pytest.raises(ModelError, match=said):
        write_names(run, {number: name})
    assert (run / "model" / "model.json").read_bytes() == before


def test_a_model_without_codewords_has_no_names(run: Path) -> None:
    (run / "model" / "model.json").write_text('{"codewords": []}')
    assert read_names(run) == ()


@pytest.mark.parametrize("content", ["{", "[]", '{"codewords": 3}'])
def test_a_damaged_model_is_told(run: Path, content: str) -> None:
    (run / "model" / "model.json").write_text(content)
    with pytest.raises(ModelError, match="damaged"):
        read_names(run)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model folder"):
        read_names(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_told(run: Path) -> None:
    (run / "model").chmod(0o500)
    with pytest.raises(ModelError, match="Copy the model"):
        write_names(run, {0: "x"})


def test_codewords_of_a_model_of_format_1_can_be_named(tmp_path: Path) -> None:
    header = {"format": 1, "config": {"codebook": {"codewords": 3}}}
    (tmp_path / "model.json").write_text(json.dumps(header), encoding="utf-8")
    assert read_names(tmp_path) == ("Codeword 1", "Codeword 2", "Codeword 3")
    assert write_names(tmp_path, {2: "stroma"})[2] == "stroma"
    assert read_names(tmp_path)[2] == "stroma"
