"""The cluster recipes use commands and options that there are, and their scripts can be parsed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    *sorted((ROOT / "examples/cluster").iterdir()),
    ROOT / "docs/how-to/cluster-recipes.md",
    ROOT / "docs/concepts/scaling.md",
]
_CALL = re.compile(
    r"(?:dre-slcl|-m napari_dre_slcl --)\s+(train|resume|embed|predict|plan)\b([^#`|\n]*)"
)


@pytest.fixture(scope="module")
def commands() -> dict[str, Any]:
    from typer.main import get_command

    from napari_dre_slcl.cli.app import app

    group: Any = get_command(app)
    return dict(group.commands)


def _joined(text: str) -> str:
    """Return text with continued lines, and the items of a YAML list, on one line."""
    return re.sub(r"\\\n\s*|\n\s+- (?=--|embed|train|resume)", " ", text)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_options_of_the_recipes_exist(file: Path, commands: dict[str, Any]) -> None:
    for name, rest in _CALL.findall(_joined(file.read_text(encoding="utf-8"))):
        known = {option for param in commands[name].params for option in param.opts}
        used = set(re.findall(r"(?<!\S)--[a-z][a-z-]*", rest))
        assert used <= known, name


def test_every_recipe_calls_the_program() -> None:
    called = {
        file.name: [name for name, _ in _CALL.findall(_joined(file.read_text(encoding="utf-8")))]
        for file in FILES
    }
    assert called["train.sbatch"] == ["resume", "train"]
    assert called["embed.sbatch"] == ["embed"]
    assert called["train-job.yaml"] == ["train"]
    assert called["embed-dask.yaml"] == ["embed"]


@pytest.mark.parametrize("name", ["train.sbatch", "embed.sbatch"])
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_batch_scripts_are_valid_shell(name: str) -> None:
    script = ROOT / "examples/cluster" / name
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=30)
