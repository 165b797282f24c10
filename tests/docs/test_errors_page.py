"""The page of errors names every class and every kind of sentence that the source has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from napari_dre_slcl import errors

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/napari_dre_slcl"
PAGE = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
INTERNAL = {"Elsewhere", "ToldElsewhere"}
"""Carry another process's sentence as it is; nobody outside sees their names."""


@cache
def _trees() -> list[tuple[Path, ast.Module]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def _bases() -> dict[str, str]:
    """Return each of our error classes with the class of errors.py that it is a kind of."""
    found = {name: name for name in errors.__all__}
    classes = [
        (node.name, base.id)
        for _, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    ]
    for _ in range(3):  # a class of a class of a class
        found |= {
            name: found[base] for name, base in classes if base in found and name not in found
        }
    return found


BASES = _bases()


def _text(node: ast.expr) -> str:
    """Return a sentence of the source, an ellipsis for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _text(part) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return "…"


@cache
def _sentences() -> list[tuple[str, str, str]]:
    """Return class, sentence and place of every error that the source makes."""
    return list(_found_sentences())


def _found_sentences() -> Iterator[tuple[str, str, str]]:
    for path, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name, text = (
                    getattr(node.func, "id", getattr(node.func, "attr", "")),
                    _text(node.args[0]),
                )
                if ast.unparse(node.func) == "kind.error":  # of a kind of files, in any class
                    name = "DreSlclError"
                if name in BASES and re.search(r"\w{2}", text):
                    yield BASES[name], text, f"{path.relative_to(ROOT)}:{node.lineno}"


@cache
def _kinds(section: str) -> list[re.Pattern[str]]:
    """Return the kinds of sentence in the first column of a section's table."""
    if f"## {section}\n" not in PAGE:
        return []
    part = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    first = [row.split(" | ")[0] for row in part.splitlines() if row.startswith("| ")]
    quoted = [kind for cell in first for kind in re.findall(r"`([^`]+)`", cell)]
    return [re.compile(".*".join(map(re.escape, kind.split("…"))), re.DOTALL) for kind in quoted]


def test_the_page_names_every_class() -> None:
    for name in errors.__all__:
        if name != "DreSlclError":
            assert f"\n## {name}\n" in PAGE
    for name in BASES.keys() - set(errors.__all__) - INTERNAL:
        assert f"`{name}`" in PAGE, f"say in docs/reference/errors.md what {name} means"


def test_the_page_has_every_kind_of_sentence() -> None:
    anywhere = _kinds("The file system, in any class")
    missing = [
        f"{place}: {name}: {text}"
        for name, text, place in _sentences()
        if not any(kind.search(text) for kind in [*_kinds(name), *anywhere])
    ]
    assert not missing, (
        "add these to docs/reference/errors.md, with cause and remedy:\n" + "\n".join(missing)
    )


def test_the_page_has_no_kind_of_sentence_that_nobody_says() -> None:
    said: dict[str, str] = {}
    for name, text, _ in _sentences():
        for place in (name, "The file system, in any class"):
            said[place] = f"{said.get(place, '')}\n{text}"
    unsaid = [
        f"{section}: {kind.pattern}"
        for section, text in said.items()
        for kind in _kinds(section)
        if not any(kind.search(line) for line in text.splitlines()) and kind.pattern not in BASES
    ]
    assert not unsaid
