"""`dre-slcl plan`: a table with and without measured costs, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.config import load_preset
from napari_dre_slcl.engine.cost_fit import Fitted
from napari_dre_slcl.engine.cost_store import read_costs, write_costs
from napari_dre_slcl.errors import JobError

SPLIT = ["--val-share", "0.1", "--test-share", "0.2"]
SIZE = ["--preset", "cpu-small", "--slides", "1000", "--tiles", "200", *SPLIT]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRE_SLCL_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def costs(tmp_path: Path) -> Path:
    """Costs of a machine that takes a hundredth of a second for a tile of the first pass."""
    fitted = Fitted({"first pass": {"tile": 0.01}}, {"once": 2.0**30})
    path = tmp_path / "costs.json"
    write_costs(path, fitted, load_preset("cpu-small"), None, "cpu")
    return path


def test_without_measured_costs_bytes_are_told_and_time_is_not(capsys) -> None:
    assert main(["plan", *SIZE, "--devices", "4"]) == 0
    said = capsys.readouterr().out
    assert "memory bank" in said
    assert "gradients" in said
    assert "Time, of the busiest process" not in said
    assert "dre-slcl plan --measure --preset cpu-small" in said


def test_measured_costs_give_the_time(costs: Path, capsys) -> None:
    assert main(["plan", *SIZE, "--costs", str(costs), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    # 700 slides train, and the codewords are fitted twice: tiles are encoded twice.
    assert figures["seconds"]["first pass"] == pytest.approx(1400)
    assert figures["seconds"]["refills"] == pytest.approx(1400)
    assert figures["bytes/memory"]["program and network"] == 2**30


def test_processes_share_the_first_pass_and_the_network_takes_time(costs: Path, capsys) -> None:
    more = ["--devices", "2", "--nodes", "2", "--network-gbit", "10"]
    assert main(["plan", *SIZE, "--costs", str(costs), *more, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["processes"] == 4
    assert figures["seconds"]["first pass"] == pytest.approx(350)
    sent = sum(figures["bytes/sent in a step"].values())
    assert figures["seconds"]["network"] == pytest.approx(sent * 8 / 1e10 * figures["steps"])


def test_costs_of_another_encoder_are_refused(costs: Path, capsys) -> None:
    assert main(["plan", *SIZE, "--costs", str(costs), "--set", "encoder.input_px=64"]) == 2
    assert "encoder.input_px=128" in capsys.readouterr().err


def test_own_costs_of_another_encoder_leave_the_time_out_and_say_why(
    costs: Path, tmp_path: Path, capsys
) -> None:
    own = tmp_path / "config" / "costs" / "cpu-small-pixels.json"
    own.parent.mkdir(parents=True)
    costs.rename(own)
    assert main(["plan", *SIZE, "--set", "encoder.input_px=64"]) == 0
    said = capsys.readouterr().out
    assert "memory bank" in said
    assert "encoder.input_px=128" in said
    assert "--measure --preset cpu-small --set encoder.input_px=64" in said


def test_the_way_to_measure_is_that_of_the_features_that_are_planned(capsys) -> None:
    assert main(["plan", *SIZE, "--feature-dim", "64"]) == 0
    assert "--measure --preset cpu-small --feature-dim 64'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--slides", f"1{400 * '0'}"),
        ("--tiles", f"1{400 * '0'}"),
        ("--classes", "1000000000000"),
        ("--feature-dim", "2000000000"),
        ("--network-gbit", "inf"),
        ("--devices", "100000"),
    ],
)
def test_a_number_past_all_sense_is_refused(option: str, value: str, capsys) -> None:
    assert main(["plan", *SIZE, option, value]) == 2
    assert option in capsys.readouterr().err


def test_the_split_is_that_of_the_settings_by_default(capsys) -> None:
    changed = ["--set", "cohort.test_fraction=0.5", "--set", "cohort.val_fraction=0.2"]
    assert main(["plan", *SIZE[:-4], *changed]) == 0
    assert "400 train, 100 validate, 500 test" in capsys.readouterr().out


def test_a_plan_needs_a_size(capsys) -> None:
    assert main(["plan", "--slides", "10"]) == 2
    assert "--tiles" in capsys.readouterr().err


def test_no_slide_left_to_train_is_refused(capsys) -> None:
    assert main(["plan", *SIZE[:-4], "--val-share", "0.5", "--test-share", "0.5"]) == 2
    assert "leave none" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{}", "no json", None])
def test_a_file_of_no_costs_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "other.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(JobError, match="--measure"):
        read_costs(path)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_costs_that_are_no_amounts_are_refused(costs: Path, seconds: float) -> None:
    said = json.loads(costs.read_text()) | {"seconds": {"first pass": {"tile": seconds}}}
    costs.write_text(json.dumps(said))
    with pytest.raises(JobError, match="--measure"):
        read_costs(costs)
