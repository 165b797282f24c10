"""The draft for conda-forge asks for what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMES = {"torch": "pytorch", "openslide-bin": "openslide"}
"""Packages that conda-forge calls by another name."""
LOWER = {"openslide": ">=4.0.0"}
"""Bounds that conda-forge cannot meet yet; the recipe says what is lost."""


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    text = (ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8")
    minimum = yaml.safe_load(text)["context"]["python_min"]
    return dict(yaml.safe_load(text.replace("${{ python_min }}", minimum)))


def as_conda(lines: list[str]) -> dict[str, str]:
    """Return name and bounds as conda-forge has them."""
    wanted = {}
    for one in map(Requirement, lines):
        name = NAMES.get(one.name, one.name)
        wanted[name] = LOWER.get(name, str(one.specifier))
    return wanted


def asked(lines: list[str]) -> dict[str, str]:
    return {name: bound for name, _, bound in (line.partition(" ") for line in lines)}


def test_it_runs_with_what_the_package_needs(recipe: dict[str, Any]) -> None:
    wanted = as_conda(PROJECT["dependencies"]) | {"python": PROJECT["requires-python"]}
    assert asked(recipe["requirements"]["run"]) == wanted


def test_it_bounds_what_the_engine_needs(recipe: dict[str, Any]) -> None:
    wanted = as_conda(PROJECT["optional-dependencies"]["engine"])
    assert asked(recipe["requirements"]["run_constraints"]) == wanted


def test_it_is_built_with_what_the_package_is_built_with(recipe: dict[str, Any]) -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    host = asked(recipe["requirements"]["host"])
    assert as_conda(build["requires"]).items() <= host.items()
    (entry,) = recipe["build"]["python"]["entry_points"]
    assert dict([re.split(r" = ", entry)]) == PROJECT["scripts"]


def test_it_names_the_same_places_and_licence(recipe: dict[str, Any]) -> None:
    about, urls = recipe["about"], PROJECT["urls"]
    assert about["homepage"] == urls["Homepage"]
    assert about["repository"] == urls["Source Code"]
    assert about["documentation"] == urls["Documentation"]
    assert (about["license"], about["summary"]) == (PROJECT["license"], PROJECT["description"])
