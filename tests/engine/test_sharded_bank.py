"""Several processes keep one bank and write one checkpoint, to the same bits as one alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from napari_dre_slcl.model.bank_tally import bank_summary

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
SCRIPT = Path(__file__).with_name("run_bank_ranks.py")
LOST, KILLED = 3, -9
STEPS = 6


def part(size: int, until: int = STEPS, kill: list[int] | None = None) -> dict[str, Any]:
    return {"size": size, "until": until, "kill": kill}


def contents(folder: Path) -> dict[str, bytes]:
    """Return every array of the bank and the weights of the one checkpoint, as bytes."""
    (generation,) = folder.glob("bank/gen-*")
    (weights,) = folder.glob("checkpoints/*/model.safetensors")
    arrays = {path.name: path.read_bytes() for path in generation.glob("*.npy")}
    return arrays | {"generation": generation.name.encode(), "weights": weights.read_bytes()}


def summary(folder: Path) -> dict[str, float]:
    return bank_summary(json.loads(path.read_text()) for path in folder.glob("tally-*.json"))


def assert_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert [name for name in expected if found.get(name) != expected[name]] == []


def random_kills() -> list[dict[str, Any]]:
    random = np.random.default_rng(5)
    return [
        part(size, kill=[int(random.integers(size)), int(random.integers(1, 40))])
        for size in (2, 3, 1, 2)
    ]


PLANS = {
    "alone": [part(1)],
    "resharded": [part(2, 2), part(1, 4), part(3)],
    "killed": [*random_kills(), part(2)],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of all runs; ``codes.json`` has their exit codes."""
    folder = tmp_path_factory.mktemp("ranks")
    child = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), json.dumps(PLANS)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert child.returncode == 0, child.stderr
    (folder / "codes.json").write_text(child.stdout)
    return folder


def codes_of(folder: Path, name: str) -> list[list[int]]:
    codes: list[list[int]] = json.loads((folder / "codes.json").read_text())[name]
    return codes


def test_other_numbers_of_processes_go_on_to_the_same_bits_as_one(folder: Path) -> None:
    assert codes_of(folder, "alone") == [[0]]
    assert codes_of(folder, "resharded") == [[0, 0], [0], [0, 0, 0]]
    assert_same(contents(folder / "resharded"), contents(folder / "alone"))
    assert summary(folder / "resharded") == pytest.approx(summary(folder / "alone"), rel=1e-12)


def test_each_process_writes_the_changes_of_its_own_rows(folder: Path) -> None:
    deltas = sorted((folder / "resharded").glob("checkpoints/*/bank-delta-*.safetensors"))
    assert [path.name for path in deltas] == [
        f"bank-delta-{rank:04d}.safetensors" for rank in range(3)
    ]
    written = [load_file(path) for path in deltas]
    assert [part["part"].tolist() for part in written] == [[0, 3], [1, 3], [2, 3]]
    for part_of_it in written:
        first, last = part_of_it["span"][:2]
        assert np.all((part_of_it["rows"] >= first) & (part_of_it["rows"] < last))


def test_a_process_killed_at_random_ends_the_others_and_another_number_goes_on(
    folder: Path,
) -> None:
    codes = codes_of(folder, "killed")
    for planned, ended in zip(PLANS["killed"], codes, strict=True):
        if KILLED in ended:
            killed = planned["kill"][0]
            assert ended[killed] == KILLED
            assert {*ended[:killed], *ended[killed + 1 :]} <= {LOST}
    assert sum(KILLED in ended for ended in codes) >= 3
    assert codes[-1] == [0, 0]
    assert_same(contents(folder / "killed"), contents(folder / "alone"))
    assert not list((folder / "killed").glob("checkpoints/.part-*"))
