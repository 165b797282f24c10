"""`dre-slcl doctor` on this installation, and on ones that were broken on purpose."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.cli import main
from napari_dre_slcl.doctor.child import ask
from napari_dre_slcl.doctor.computing import check_computing, judge
from napari_dre_slcl.doctor.folders import check_folder, check_folders
from napari_dre_slcl.doctor.packages import check_packages, check_python
from napari_dre_slcl.doctor.slides import check_slides
from napari_dre_slcl.doctor.window import check_plugin, check_window, judge_drawing

Break = Callable[[str, str], None]

needs_proc = pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="needs a folder that root cannot write to either"
)


@pytest.fixture
def break_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Break:
    """Return a function that puts a module of that source in the way of the real one."""

    def put(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return put


def test_a_sound_installation_has_no_problem(tmp_path: Path, capsys) -> None:
    assert main(["doctor", "--folder", str(tmp_path / "runs"), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    about = [one["about"] for one in found]
    things = ("Python", "Packages", "Qt", "OpenGL", "Plugin", "OpenSlide", "torch", "GPU")
    assert [name for name in things if not any(name in one for one in about)] == []
    assert {one["state"] for one in found} <= {"ok", "warning"}
    assert not (tmp_path / "runs").exists()
    assert list(tmp_path.iterdir()) == []


def test_each_problem_is_told_with_what_mends_it(break_module: Break, tmp_path: Path) -> None:
    break_module("torch", "raise ImportError('libtorch_cpu.so is damaged')")
    break_module("openslide", "import os; os.abort()")
    break_module("vispy", "raise ImportError('no vispy')")
    break_module("napari", "raise ImportError('no napari')")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "napari_dre_slcl.doctor"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    problems = [index for index, line in enumerate(lines) if line.startswith("problem")]
    assert len(problems) == 4
    assert all("To mend it:" in lines[index + 1] for index in problems)
    assert "Problems: 4." in lines[-1]


def test_the_command_ends_with_1_on_a_problem(
    break_module: Break, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for slow in ("torch", "napari"):
        break_module(slow, "raise ImportError('it would take seconds')")
    monkeypatch.setenv("QT_API", "pyqt4")
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "problem  Qt: " in shown
    assert "To mend it: " in shown


def test_a_damaged_torch_is_named(break_module: Break) -> None:
    break_module("torch", "raise ImportError('libtorch_cpu.so is damaged')")
    (found,) = check_computing()
    assert found.state == "problem"
    assert "libtorch_cpu.so is damaged" in found.says


def test_a_native_crash_ends_only_the_child(break_module: Break) -> None:
    break_module("openslide", "import os; os.abort()")
    (found,) = check_slides()
    assert found.state == "problem"
    assert "SIGABRT" in found.says or "code" in found.says


def test_a_part_of_the_plugin_that_cannot_be_loaded_is_a_problem(break_module: Break) -> None:
    break_module("superqt", "raise ImportError('superqt is damaged')")
    (found,) = check_plugin()
    assert found.state == "problem"


def test_a_child_that_hangs_is_ended(break_module: Break) -> None:
    break_module("endless", "import time; time.sleep(60)")
    assert ask("endless", limit_s=1.0).failure == "no answer came within 1 s"


def test_what_a_child_says_is_not_trusted_to_be_json(break_module: Break) -> None:
    break_module("babbler", "print('hello')")
    assert ask("babbler").failure == "its answer could not be read"


def test_a_binding_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_API", "pyqt4")
    found = check_window()
    assert found[0].state == "problem"
    assert "pyqt4" in found[0].says
    assert "QT_API" in found[0].mend


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return a function that makes a package seem installed in a version."""

    def put(name: str, version: str) -> None:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))

    return put


def test_a_package_that_is_too_old_is_a_problem(installed: Callable[[str, str], None]) -> None:
    assert all(found.state == "ok" for found in check_packages())
    installed("tifffile", "2019.1")
    (wrong,) = (found for found in check_packages() if found.state != "ok")
    assert (wrong.about, wrong.state) == ("tifffile", "problem")
    assert "2019.1" in wrong.says
    assert 'pip install "tifffile>=' in wrong.mend


def test_a_package_of_an_extra_that_does_not_fit_is_a_warning(
    installed: Callable[[str, str], None],
) -> None:
    installed("PyQt6", "6.12.0")
    (wrong,) = (found for found in check_packages() if found.state != "ok")
    assert (wrong.about.lower(), wrong.state) == ("pyqt6", "warning")


def test_python_is_compared() -> None:
    assert [found.state for found in check_python()] == ["ok"]


@needs_proc
def test_a_folder_that_cannot_be_written_is_a_problem() -> None:
    found = check_folders(Path("/proc/runs"))
    assert found[0].state == "problem"
    assert "cannot be written" in found[0].says
    assert all(one.state == "ok" for one in found[1:])


def test_little_room_is_told(tmp_path: Path) -> None:
    much = 1e9  # GiB
    assert check_folder("Folder", tmp_path, (much, much), "x").state == "problem"
    assert check_folder("Folder", tmp_path, (0, much), "x").state == "warning"
    assert check_folder("Folder", tmp_path, (0, 0), "x").state == "ok"


TORCH = {
    "torch": "2.13.0",
    "threads": 2,
    "has_mps": False,
    "gpus": [],
    "cuda_note": "driver too old",
    "torchvision_error": "",
    "is_repaired": False,
}
GPU = {"index": 0, "name": "A", "memory_gib": 24.0, "free_gib": 20.0, "error": ""}


@pytest.mark.parametrize(
    ("facts", "is_gpu_here", "state", "part"),
    [
        ({}, False, "ok", "none"),
        ({}, True, "warning", "driver too old"),
        ({"has_mps": True}, False, "ok", "MPS"),
        ({"gpus": [GPU]}, True, "ok", "24 GiB"),
        ({"gpus": [GPU | {"free_gib": 1.0}]}, True, "warning", "1 GiB"),
        ({"gpus": [GPU | {"error": "no kernel image"}]}, True, "problem", "no kernel image"),
    ],
)
def test_what_is_said_of_gpus(facts, is_gpu_here: bool, state: str, part: str) -> None:
    found = list(judge(TORCH | facts, is_gpu_here))[-1]
    assert found.state == state
    assert part in found.says


def test_a_torchvision_that_fails_is_a_problem() -> None:
    found = list(judge(TORCH | {"torchvision_error": "cannot be imported"}, False))
    assert [one.about for one in found if one.state == "problem"] == ["torchvision"]


@pytest.mark.parametrize(
    ("renderer", "texture_px", "is_virtual", "state"),
    [
        ("NVIDIA", 16384, False, "ok"),
        ("llvmpipe (LLVM 15)", 16384, False, "warning"),
        ("llvmpipe (LLVM 15)", 16384, True, "ok"),
        ("Old", 2048, False, "warning"),
        ("", None, False, "problem"),
    ],
)
def test_what_is_said_of_opengl(renderer: str, texture_px, is_virtual: bool, state: str) -> None:
    facts = {"binding": "PyQt6", "binding_version": "6.7", "qt": "6.7", "version": "4.5"}
    found = judge_drawing(facts | {"renderer": renderer, "texture_px": texture_px}, is_virtual)
    assert found[-1].state == state
