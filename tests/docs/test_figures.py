"""The drawn figures are those that the script draws."""

from __future__ import annotations

import importlib.util
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SPEC = importlib.util.spec_from_file_location("figures", ROOT / "scripts/figures.py")
assert _SPEC is not None
assert _SPEC.loader is not None
figures = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(figures)


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_is_what_the_script_draws_and_is_whole(name: str) -> None:
    drawn = (figures.IMAGES / name).read_text(encoding="utf-8")
    assert drawn == figures.FIGURES[name](), "run: python scripts/figures.py"
    root = ET.fromstring(drawn)
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
