"""What is public: names that packages export, or that a page shows or imports."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.docs.fences import fences

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"


@dataclass(frozen=True, slots=True)
class Public:
    """A public class, function, method or property, and where it is found."""

    name: str
    value: Any
    is_method: bool = False

    def __str__(self) -> str:
        return self.name


def public_names() -> list[Public]:
    """Return all of them, sorted by name, each object once."""
    found: dict[int, Public] = {}
    for name in sorted({*_exported(), *_shown(), *_used()}):
        value = _load(name)
        if (inspect.isclass(value) or inspect.isroutine(value)) and _is_ours(value):
            found.setdefault(id(value), Public(name, value))
            if inspect.isclass(value):
                for member in _members(name, value):
                    found.setdefault(id(member.value), member)
    return sorted(found.values(), key=str)


def _exported() -> Iterator[str]:
    for path in SOURCE.rglob("__init__.py"):
        package = ".".join(path.parent.relative_to(SOURCE).parts)
        module = importlib.import_module(package)
        yield from (f"{package}.{name}" for name in getattr(module, "__all__", ()))


def _shown() -> set[str]:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    return set(re.findall(r"^::: (\S+)", page, re.M))


def _used() -> Iterator[str]:
    """Yield what blocks of the pages import."""
    for page in (ROOT / "docs").rglob("*.md"):
        for fence in fences(page):
            if fence.language == "python":
                for node in ast.walk(ast.parse(fence.text)):
                    if isinstance(node, ast.ImportFrom) and "dre_slcl" in str(node.module):
                        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _load(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def _is_ours(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).startswith("napari_dre_slcl")


def _members(name: str, owner: type) -> Iterator[Public]:
    for key, value in vars(owner).items():
        if key.startswith("_"):
            continue
        if isinstance(value, property | cached_property):
            yield Public(f"{name}.{key}", value, is_method=True)
        elif isinstance(value, staticmethod | classmethod):
            yield Public(f"{name}.{key}", value.__func__, is_method=True)
        elif inspect.isfunction(value) and _is_ours(value):
            yield Public(f"{name}.{key}", value, is_method=True)


def raised(function: Any) -> set[str]:
    """Return the names of classes that a function raises itself, in its own lines."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [
        node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None
    ]
    return {call.id for call in calls if isinstance(call, ast.Name)}
