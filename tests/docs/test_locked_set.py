"""The locked set is exact, hashed, and what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OURS = "napari-dre-slcl"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENTRY = re.compile(r"([\w.-]+)==(\S+)((?: --hash=sha256:[0-9a-f]{64})+)")


def entries(name: str) -> list[str]:
    """Lines of a requirements file, continued ones joined, without comments."""
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    return re.sub(r"\s*\\\n\s*", " ", text).splitlines()


def wanted() -> list[Requirement]:
    """What the demonstration and the build of the package need directly, extras of ours opened."""
    extras = PROJECT["project"]["optional-dependencies"]
    todo = [
        *PROJECT["project"]["dependencies"],
        f"{OURS}[all]",
        *PROJECT["build-system"]["requires"],
    ]
    found = []
    while todo:
        one = Requirement(todo.pop())
        if one.name == OURS:
            todo += [line for extra in one.extras for line in extras[extra]]
        else:
            found.append(one)
    return found


LOCKED = {
    canonicalize_name(match[1]): match[2]
    for name in ("demo.txt", "torch-cpu.txt")
    for line in entries(name)
    if (match := ENTRY.fullmatch(line))
}


@pytest.mark.parametrize("name", ["demo.txt", "torch-cpu.txt"])
def test_each_line_is_one_version_with_hashes_and_names_no_place(name: str) -> None:
    lines = entries(name)
    assert lines
    assert [line for line in lines if not ENTRY.fullmatch(line)] == []


@pytest.mark.parametrize("requirement", sorted(wanted(), key=str), ids=str)
def test_what_we_ask_for_is_locked_in_a_version_that_fits(requirement: Requirement) -> None:
    locked = LOCKED.get(canonicalize_name(requirement.name))
    assert locked is not None, "run `make lock`"
    assert requirement.specifier.contains(locked), f"{locked} is locked; run `make lock`"


def test_torch_is_the_one_that_developers_have() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for one in (Requirement(line) for line in lines if not line.startswith("#")):
        assert one.specifier.contains(LOCKED[one.name]), f"{one} in constraints.txt"
