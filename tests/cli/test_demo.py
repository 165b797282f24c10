"""The whole demonstration, small: generated slides to a picture of napari, without a display."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from napari_dre_slcl.cli.demo import DemoPlan, run_demo
from napari_dre_slcl.cli.synth import generate
from napari_dre_slcl.errors import CohortError, JobError

SMALL = """
import sys
from pathlib import Path
from napari_dre_slcl.cli.demo import DemoPlan, run_demo
overrides = {"training.epochs": "1", "training.fresh_tiles": "2", "encoder.input_px": "32",
             "codebook.refit_after_epoch": "0"}
plan = DemoPlan(n_slides=12, side_px=1024, overrides=overrides)
print("reached:", run_demo(Path(sys.argv[1]), plan, should_open_window=True))
"""


@dataclass(frozen=True)
class Demo:
    """A demonstration that has run where slides and a run of an earlier one lay."""

    folder: Path
    stdout: str
    slides_before: dict[Path, int]


def _times_of_slides(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "cohort/slides").iterdir()}


def _run_small(folder: Path) -> str:
    env = {key: value for key, value in os.environ.items() if not key.endswith("DISPLAY")}
    done = subprocess.run(
        [sys.executable, "-c", SMALL, str(folder)],
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo") / "demo_out"
    generate(folder / "cohort", n_slides=12, seed=0, side_px=1024)
    (folder / "run").mkdir()
    (folder / "run" / "job.json").write_text("{}", encoding="utf-8")
    before = _times_of_slides(folder)
    return Demo(folder, _run_small(folder), before)


def test_demo_prints_the_held_out_auc_of_each_task(demo: Demo) -> None:
    metrics = json.loads((demo.folder / "run/metrics.json").read_text())
    (line,) = (row for row in demo.stdout.splitlines() if row.startswith("Held-out AUC: "))
    for task in ("subtype", "cancer", "TP53"):
        assert f"{task} {metrics[f'test/auc/{task}']:.3f}" in line


def test_demo_says_which_task_falls_short(demo: Demo) -> None:
    metrics = json.loads((demo.folder / "run/metrics.json").read_text())
    is_good = all(value >= 0.9 for name, value in metrics.items() if "auc" in name)
    assert f"reached: {is_good}" in demo.stdout
    assert ("Below 0.9: " in demo.stdout) == (not is_good)


def test_demo_saves_a_picture_of_the_window_without_a_display(demo: Demo) -> None:
    with Image.open(demo.folder / "window.png") as picture:
        assert picture.width >= 1000
        assert picture.height >= 600
        assert len(picture.convert("RGB").getcolors(maxcolors=2**24) or ()) > 500


def test_demo_summary_names_the_figures_and_shows_the_picture(demo: Demo) -> None:
    page = (demo.folder / "summary.html").read_text(encoding="utf-8")
    metrics = json.loads((demo.folder / "run/metrics.json").read_text())
    assert f"{metrics['test/auc/cancer']:.3f}" in page
    assert 'src="window.png"' in page
    assert "run/model" in page
    assert "Attention ranks" in page


def test_second_demo_uses_the_slides_again_and_replaces_the_run(demo: Demo) -> None:
    assert "are used again" in demo.stdout
    assert _times_of_slides(demo.folder) == demo.slides_before
    job = json.loads((demo.folder / "run/job.json").read_text())
    assert Path(job["cohort"]) == demo.folder / "cohort/cohort.csv"
    assert not (demo.folder / "run.previous").exists()


def test_demo_leaves_a_foreign_cohort_folder_alone(tmp_path: Path) -> None:
    table = tmp_path / "cohort" / "cohort.csv"
    table.parent.mkdir()
    table.write_text("slide,patient_id\na.svs,P1\n", encoding="utf-8")
    with pytest.raises(CohortError, match="is not the built-in cohort"):
        run_demo(tmp_path, DemoPlan(), should_open_window=False)
    assert table.read_text(encoding="utf-8").startswith("slide,patient_id")


def test_first_demo_makes_slides_and_leaves_a_foreign_run_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(JobError, match="is no run folder"):
        run_demo(tmp_path, DemoPlan(n_slides=12, side_px=1024), should_open_window=False)
    assert len(_times_of_slides(tmp_path)) == 12
    assert (tmp_path / "run" / "thesis.txt").exists()
