"""The torchvision repair, each case in a fresh interpreter with a real torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# As torchvision's own: it registers a kernel for an operator that only its compiled library
# declares, which torch answers with "operator torchvision::nms does not exist".
_MISSING_OPERATOR = """
import torch.library
torch.library.Library("torchvision", "IMPL", "Meta").impl("nms", lambda d, s, t: d.new_empty(0))
VALUE = "imported"
"""
_WORKING = "VALUE = 'imported'\n"
_OTHER_FAILURE = "raise RuntimeError('the GPU is on fire')\n"


def _fake_torchvision(folder: Path, source: str) -> Path:
    package = folder / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("from torchvision import _ops\n")
    (package / "_ops.py").write_text(source)
    return folder


def _run(code: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = dict(os.environ)
    if path is not None:
        env["PYTHONPATH"] = str(path)
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120
    )


_ENSURE = "from napari_dre_slcl.model.torchvision_repair import ensure_torchvision as ensure\n"


def test_import_without_repair_fails_for_the_missing_operator(tmp_path: Path) -> None:
    done = _run("import torchvision", _fake_torchvision(tmp_path, _MISSING_OPERATOR))
    assert done.returncode != 0
    assert "operator torchvision::nms does not exist" in done.stderr


def test_missing_operator_is_declared_and_torchvision_imports(tmp_path: Path) -> None:
    code = _ENSURE + "print(ensure()); import torchvision; print(torchvision._ops.VALUE)"
    done = _run(code, _fake_torchvision(tmp_path, _MISSING_OPERATOR))
    assert done.stdout.split() == ["True", "imported"], done.stderr


def test_second_call_finds_nothing_to_repair(tmp_path: Path) -> None:
    code = _ENSURE + "print(ensure(), ensure())"
    done = _run(code, _fake_torchvision(tmp_path, _MISSING_OPERATOR))
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_working_torchvision_is_left_alone(tmp_path: Path) -> None:
    code = _ENSURE + (
        "import torchvision; before = torchvision; print(ensure())\n"
        "import torchvision, torch; print(torchvision is before)\n"
        "print(hasattr(torch.ops.torchvision, 'nms'))"
    )
    done = _run(code, _fake_torchvision(tmp_path, _WORKING))
    assert done.stdout.split() == ["False", "True", "False"], done.stderr


@pytest.mark.parametrize("source", [_OTHER_FAILURE, "import no_such_module\n"])
def test_another_failure_is_one_sentence_that_names_it(tmp_path: Path, source: str) -> None:
    code = _ENSURE + (
        "from napari_dre_slcl.errors import ModelError\n"
        "try: ensure()\nexcept ModelError as error: print(error)"
    )
    done = _run(code, _fake_torchvision(tmp_path, source))
    assert done.stdout.startswith("torchvision cannot be imported ("), done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "fire" in done.stdout or "no_such_module" in done.stdout


def test_timm_builds_a_network_with_the_installed_torchvision() -> None:
    code = _ENSURE + (
        "ensure(); import timm, torch\n"
        "net = timm.create_model('test_vit', num_classes=0).eval()\n"
        "print(net(torch.zeros(1, 3, 160, 160)).shape[0])\n"
        "from torchvision import transforms\n"
        "print(tuple(transforms.Resize(8)(torch.zeros(3, 16, 16)).shape))"
    )
    done = _run(code)
    assert done.stdout.splitlines() == ["1", "(3, 8, 8)"], done.stderr
