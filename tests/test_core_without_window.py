"""The core works where neither Qt nor napari can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import importlib, pkgutil, sys

class Blocked:
    NAMES = {"napari", "vispy", "qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "superqt"}

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.NAMES:
            raise ImportError(f"{name} is blocked in this test")

sys.meta_path.insert(0, Blocked())
import napari_dre_slcl
for module in pkgutil.walk_packages(napari_dre_slcl.__path__, "napari_dre_slcl."):
    if module.name.split(".")[1] != "gui":
        importlib.import_module(module.name)
from napari_dre_slcl.cli import main
sys.exit(main(["info", sys.argv[1]]))
"""


def test_every_core_module_imports_and_the_command_line_runs(slide_file) -> None:
    path: Path = slide_file("slide.tif", mpp=0.5)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "0.5" in done.stdout


def test_public_names_are_imported_from_the_package() -> None:
    import napari_dre_slcl

    assert set(dir(napari_dre_slcl)) == set(napari_dre_slcl.__all__)
    for name in napari_dre_slcl.__all__:
        assert getattr(napari_dre_slcl, name) is not None


def test_slide_is_shown_without_the_libraries_that_only_tissue_needs(slide_file) -> None:
    path: Path = slide_file("slide.tif", mpp=0.5)
    program = (
        "import sys; from napari_dre_slcl import open_slide; from napari_dre_slcl import layers; "
        "layers.slide_layer(open_slide(sys.argv[1]))[0][-1][:]; "
        "print(sorted({'scipy', 'skimage', 'sklearn', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "[]", done.stderr
