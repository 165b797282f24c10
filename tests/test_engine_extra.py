"""An installation for looking alone says what is missing, and how to get it.

Children of these tests find none of the engine's libraries, as where they were never installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.engine_extra import COMMAND, LIBRARIES
from napari_dre_slcl.gui.job_runner import JobRunner
from napari_dre_slcl.jobs.messages import Failed, PredictJob, TrainJob, event_line

SENTENCE = f"Training and prediction need 'torch', which is not installed: {COMMAND} adds it."
WITHOUT = f"""
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {(*LIBRARIES, "torchvision")!r}:
            return None
        return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""
PROGRAM = """
import json, sys
from napari_dre_slcl import load_preset, load_result, open_slide, tile_slide
from napari_dre_slcl.cli import main
from napari_dre_slcl.doctor.computing import check_computing
codes = {name: main(arguments) for name, arguments in json.loads(sys.argv[1]).items()}
try:
    from napari_dre_slcl import predict
except ImportError as error:
    told = [type(error).__name__, str(error)]
(found,) = check_computing()
print(json.dumps({"codes": codes, "python": told, "doctor": [found.state, found.says, found.mend]}))
"""


@pytest.fixture(autouse=True)
def without_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no child process find the libraries; this process may have them already."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_commands_and_python_say_it_in_one_sentence(
    tmp_path: Path, slide_file: Callable[..., Path]
) -> None:
    slide, run = str(slide_file("slide.tif", mpp=0.5)), str(tmp_path / "run")
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide,patient,cancer\n{slide},p,1\n", encoding="utf-8")
    commands = {
        "info": ["info", slide],
        "cohort": ["cohort", "check", str(table), "--json"],
        "train": ["train", "--cohort", str(table), "--run", run],
        "predict": ["predict", run, slide, "--out", run],
        "evaluate": ["evaluate", "--cohort", str(table), "--out", run],
        "demo": ["demo", "--out", run, "--no-window"],
        "compare": ["compare", run, run],
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["codes"] | {"cohort": 0} == dict.fromkeys(commands, 2) | {"info": 0, "cohort": 0}
    told = " ".join(done.stderr.split())
    assert told.count(f"Error: {SENTENCE}") == 4  # all but info, cohort check and compare
    assert "Traceback" not in done.stderr
    assert said["python"] == ["EngineMissingError", SENTENCE]
    assert said["doctor"][0] == "warning"
    assert said["doctor"][1].startswith("torch is not installed")
    assert said["doctor"][2] == COMMAND
    assert not Path(run).exists()


def test_the_engine_process_says_it_and_makes_no_run(tmp_path: Path) -> None:
    job = tmp_path / "job.json"
    run = tmp_path / "run"
    job.write_text(event_line(TrainJob(cohort=tmp_path / "cohort.csv", run_dir=run)))
    command = [sys.executable, "-m", "napari_dre_slcl.jobs.worker", str(job)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["message"] == SENTENCE
    assert not run.exists()


def test_the_window_s_engine_says_it(qtbot, tmp_path: Path) -> None:
    runner = JobRunner()
    try:
        with qtbot.waitSignal(runner.ended, timeout=60_000) as ended:
            runner.start(PredictJob(model=tmp_path, slides=(tmp_path / "a.svs",), out=tmp_path))
    finally:
        runner.close()
    end = ended.args[1]
    assert isinstance(end, Failed)
    assert end.message == SENTENCE
