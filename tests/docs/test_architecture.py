"""The map and the table of the architecture page are those of the imports and of the contract."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/develop/architecture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def architecture() -> ModuleType:
    script = ROOT / "scripts/architecture_map.py"
    spec = importlib.util.spec_from_file_location("architecture_map", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_map_is_that_of_the_imports(architecture: ModuleType) -> None:
    drawn = architecture.OUT.read_text(encoding="utf-8")
    assert drawn == architecture.make(), "run: python scripts/architecture_map.py"


def test_an_arrow_that_a_longer_way_makes_needless_is_left_out(architecture: ModuleType) -> None:
    arrows = {("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")}
    assert architecture.reduced(arrows) == [("a", "b"), ("b", "c"), ("c", "d")]


def test_the_table_has_the_rows_of_the_contract(architecture: ModuleType) -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", PAGE, re.M)
    table = {int(number): re.findall(r"`([^`]+)`", cell) for number, cell in rows}
    contract = architecture.read_rows()
    last = len(contract) - 1
    assert table == {last - number: parts for number, parts in enumerate(contract)}


def test_every_part_of_the_package_is_on_the_page() -> None:
    package = ROOT / "src/napari_dre_slcl"
    parts = {
        path.stem
        for path in package.iterdir()
        if (path / "__init__.py").exists() or path.suffix == ".py"
    }
    for part in parts - {"__init__", "__main__", "_version"}:
        assert f"`{part}" in PAGE, f"say in docs/develop/architecture.md what {part} is"
