"""``dre-slcl index`` and ``dre-slcl codewords``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.insight.tile_index import TileIndex


def test_index_is_written_into_the_run_by_default(
    tiny_run: Path, tiny_cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    capsys.readouterr()
    assert main(["index", str(run / "model"), "--cohort", str(tiny_cohort), "--device", "cpu"]) == 0
    index = TileIndex.open(run / "index")
    assert f"{len(index):,} tiles of 6 slides are searchable" in capsys.readouterr().out


def test_codewords_are_shown_and_named(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(tiny_run / "model", run / "model")
    capsys.readouterr()
    assert main(["codewords", str(run), "--name", "2=lymphocytes"]) == 0
    assert capsys.readouterr().out.split("\n")[:2] == ["1: Codeword 1", "2: lymphocytes"]
    assert main(["codewords", str(run), "--name", "2"]) == 2
    assert main(["codewords", str(run), "--name", "3=x"]) == 2
    error = capsys.readouterr().err
    assert "NUMBER=NAME" in error
    assert "no codeword 3" in error
