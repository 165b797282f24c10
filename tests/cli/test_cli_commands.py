"""The commands on good input, through the same entry point as the shell's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile

from napari_dre_slcl import __version__
from napari_dre_slcl.cli import main
from napari_dre_slcl.config import preset_names, setting_names
from napari_dre_slcl.jobs.messages import Progress, Result, parse_event
from napari_dre_slcl.results import load_result

COMMAND = [sys.executable, "-m", "napari_dre_slcl.cli.app"]


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"dre-slcl {__version__}"


def test_wrong_usage_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--cohort", "cohort.csv"]) == 2
    assert "--run" in capsys.readouterr().err


def test_help_starts_without_torch_napari_or_pandas() -> None:
    code = (
        "import sys\nfrom napari_dre_slcl.cli import main\nmain(['--help'])\n"
        "heavy = {'torch', 'napari', 'pandas', 'numpy', 'sklearn', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout


def test_presets_show_every_setting_of_both_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    shown = capsys.readouterr().out
    for name in (*preset_names(), *setting_names()):
        assert name in shown
    encoder = next(line for line in shown.splitlines() if "encoder.name" in line)
    assert "vit_small_patch16_224" in encoder
    assert "*" in encoder.split("│")[1]


def test_info_says_size_pixel_size_and_tiles(
    tiny_slides: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(tiny_slides[0])]) == 0
    shown = capsys.readouterr().out
    assert "768 x 768 px" in shown
    assert "0.5 µm" in shown
    assert "4 of 9 tiles" in shown


def test_info_does_not_read_hundreds_of_millions_of_pixels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, edge = tmp_path / "flat.tif", 12_288
    tiles = iter([b""] * (edge // 512) ** 2)  # none is stored
    options = {"tile": (512, 512), "compression": "zlib", "photometric": "rgb"}
    tifffile.imwrite(slide, tiles, shape=(edge, edge, 3), dtype="uint8", **options)
    assert main(["info", str(slide), "--mpp", "0.5", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["level_shapes"] == [[edge, edge]]
    assert record["tissue_tiles"] is None
    assert "151 million pixels would have to be read" in record["tiles_note"]


def test_info_as_json_is_one_object(
    tiny_slides: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", str(tiny_slides[0]), "--mpp", "0.25", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["level_shapes"][0] == [768, 768]
    assert (record["mpp"], record["mpp_source"]) == (0.25, "user")
    assert record["tissue_tiles"] == 1


def test_train_writes_a_run_and_prints_the_held_out_auc(
    tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {path.name for path in tiny_run.iterdir()}
    assert {"job.json", "config.toml", "status.json", "events.jsonl", "log.txt"} <= names
    assert {"env.json", "model", "results", "metrics.json", "predictions.csv"} <= names
    assert json.loads((tiny_run / "status.json").read_text())["state"] == "finished"
    assert "test/auc/subtype" in json.loads((tiny_run / "metrics.json").read_text())


def test_predict_prints_probabilities_and_writes_the_result(
    tiny_run: Path, tiny_slides: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["predict", str(tiny_run), str(tiny_slides[0]), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    result = load_result(out / "s0.dreslcl.npz")
    (prediction,) = result.predictions
    assert f"A {prediction.probability('A'):.2f}" in shown
    assert str(out / "s0.dreslcl.npz") in shown
    assert len(result.rowcol) == 4


def test_json_lines_are_events_and_end_with_the_result(
    tiny_run: Path, tiny_slides: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide, out = str(tiny_slides[1]), str(tmp_path / "out")
    assert main(["predict", str(tiny_run / "model"), slide, "--out", out, "--json"]) == 0
    events = [parse_event(line) for line in capsys.readouterr().out.splitlines()]
    assert any(isinstance(event, Progress) for event in events)
    assert isinstance(events[-1], Result)
    assert list(events[-1].paths) == ["s1"]


def test_synth_writes_a_cohort_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cohort"
    assert main(["synth", "--out", str(out), "--slides", "6", "--side", "1024"]) == 0
    assert str(out / "cohort.csv") in capsys.readouterr().out
    assert len(list((out / "slides").iterdir())) == 6
    assert main(["synth", "--out", str(out), "--slides", "6", "--side", "1024"]) == 2


def test_interrupt_cancels_the_training_with_code_130(tiny_cohort: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    options = ["--cohort", str(tiny_cohort), "--run", str(run_dir), "--preset", "cpu-small"]
    long = ["--set", "training.epochs=10000", "--set", "encoder.input_px=32", "--json"]
    long += ["--set", "training.preflight=false"]
    process = subprocess.Popen(
        [*COMMAND, "train", *options, *long],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if '"metric"' in line:
                break
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert '"cancelled"' in rest.splitlines()[-1]
    assert json.loads((run_dir / "status.json").read_text())["state"] == "cancelled"
