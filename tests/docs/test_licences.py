"""The licences on the page of dependencies are those that the installed packages state."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/develop/dependencies.md"
ROWS = re.findall(r"^\| `([^`]+)` \|.* \| ([^|]+) \|$", PAGE.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize(("name", "licence"), ROWS, ids=[name for name, _ in ROWS])
def test_the_licence_is_what_the_package_says(name: str, licence: str) -> None:
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    fields = ("License-Expression", "License", "Classifier")
    text = " ".join(value for field in fields for value in said.get_all(field) or ())
    family = re.split(r"[-. ]", licence)[0]  # older packages say "BSD License"
    assert re.search(rf"\b{family}", text), text[:300]


def test_every_package_has_a_licence() -> None:
    named = re.findall(r"^\| `([A-Za-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert {name for name, _ in ROWS} >= set(named)
    assert len(ROWS) > 40
