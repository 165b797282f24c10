"""`dre-slcl runs` and `dre-slcl train --estimate`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.jobs.known_runs import known_runs


@pytest.fixture(autouse=True)
def _own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))


def make_run(folder: Path, **status: object) -> Path:
    folder.mkdir()
    (folder / "status.json").write_text(json.dumps(status))
    (folder / "metrics.json").write_text('{"test/auc/cancer": 0.75}')
    return folder


def test_an_empty_list_says_what_to_do(capsys) -> None:
    assert main(["runs"]) == 0
    assert "dre-slcl train" in capsys.readouterr().out


def test_runs_are_added_listed_and_taken_off(tmp_path: Path, capsys) -> None:
    done = make_run(tmp_path / "done", state="finished")
    gone = tmp_path / "gone"
    assert main(["runs", "--add", str(gone)]) == 2
    assert "There is no run folder" in capsys.readouterr().err
    gone.mkdir()
    assert main(["runs", "--add", str(done), "--add", str(gone)]) == 0
    gone.rmdir()
    capsys.readouterr()
    assert main(["runs"]) == 0
    shown = capsys.readouterr().out
    assert "done" in shown
    assert "folder is gone" in shown
    assert "0.750" in shown
    assert main(["runs", "--json"]) == 0
    gone, found = map(json.loads, capsys.readouterr().out.splitlines())
    assert (gone["state"], found["state"]) == ("gone", "finished")
    assert found["test"] == {"test/auc/cancer": 0.75}
    assert main(["runs", "--forget", str(done)]) == 0
    assert known_runs() == [tmp_path / "gone"]
    assert (done / "metrics.json").exists()


def test_estimate_trains_nothing(tmp_path: Path, capsys, write_cohort, tiny_slides) -> None:
    table = write_cohort(tmp_path, tiny_slides)
    run_dir = tmp_path / "run"
    arguments = ["--cohort", str(table), "--run", str(run_dir), "--preset", "cpu-small"]
    arguments += ["--set", "encoder.input_px=32", "--set", "codebook.codewords=2"]
    assert main(["train", *arguments, "--estimate"]) == 0
    shown = capsys.readouterr().out
    assert re.search("Time: (about|under) ", shown)
    assert "Disk:" in shown
    assert not run_dir.exists()
    assert known_runs() == []
