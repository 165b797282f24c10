"""Files of strangers are read or refused in a sentence; the short form of ``make torture``."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture.plan import Plan
from torture.strangers import run
from torture.strangers.exports import (
    FORMULAS,
    ORDERS,
    SCRIPTS,
    live_formulas,
    live_orders,
    live_tags,
    try_terminal,
)
from torture.strangers.loaders import find_loaders, loaders_in

# Of this seed no file is read without end, which would take a trial's 10 s of processor time.
SEED = 1


def test_hostile_files_are_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "strangers"
    folder.mkdir()
    rows = list(run(Plan(SEED, 0.002, folder, lambda _: None)))
    assert len(rows) > 25
    assert [row.cells() for row in rows if not row.is_passed] == []


def test_no_call_of_the_source_could_run_what_a_file_holds() -> None:
    n_files, found = find_loaders()
    assert n_files > 300
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "pickle.load(stream)",
        "from pickle import loads",
        "import pickle as p",
        "import joblib",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "torch.load(path, weights_only=is_safe)",
        "torch.hub.load('a/b', 'c')",
        "pd.read_pickle(path)",
        "eval(text)",
        "exec(text)",
        "subprocess.run(line, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "import yaml",
        "distributed.broadcast_object_list(items)",
    ],
)
def test_a_loader_that_runs_code_is_seen(line: str) -> None:
    assert list(loaders_in(line))


def test_what_runs_no_code_is_no_loader() -> None:
    assert not list(loaders_in("torch.load(path, weights_only=True)\nnet.eval()\nread_npy(path)"))


def test_formulas_and_scripts_that_are_not_marked_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for text in FORMULAS:
        path.write_text('"' + text.replace('"', '""') + '",-1.5\n', encoding="utf-8")
        assert len(list(live_formulas(path))) == (not text.startswith("'"))
    assert sum(bool(list(live_tags(f"<p>{text}</p>"))) for text in SCRIPTS) == 4


def test_orders_to_a_terminal_are_seen(tmp_path: Path, monkeypatch) -> None:
    assert all(map(live_orders, ORDERS))
    monkeypatch.setattr("napari_dre_slcl.errors.visible", str)
    row = try_terminal(Plan(SEED, 0.002, tmp_path, lambda _: None))
    assert row.lost == len(ORDERS)
    assert "in an error" in row.note
