"""The page of lowest versions names every lower bound: a changed one must be tried."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/develop/lowest-versions.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("| package |")[2]
TRIED = dict(re.findall(r"^\| `([^`]+)` \| ([\d.]+) \|", TABLE, re.M))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
BOUNDS = {one.name: one for one in map(Requirement, LINES) if one.name != PROJECT["name"]}


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_what_was_tried_is_the_lower_bound(name: str) -> None:
    bound = next(one.version for one in BOUNDS[name].specifier if one.operator == ">=")
    assert name in TRIED, "try it with scripts/lowest.sh"
    assert f"{TRIED[name]}.".startswith(f"{bound}."), f"{name}>={bound}: try scripts/lowest.sh"


def test_nothing_else_is_named() -> None:
    assert set(TRIED) == set(BOUNDS)
