"""Shell commands of a page: taken apart, and held against what the project has."""

from __future__ import annotations

import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from tests.docs.fences import Fence

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = frozenset(
    [
        "apt-get",
        "cd",
        "conda",
        "curl",
        "dask",
        "docker",
        "export",
        "gdc-client",
        "git",
        "hf",
        "kill",
        "kubectl",
        "mkdir",
        "napari",
        "pip",
        "pipx",
        "python",
        "python3",
        "sbatch",
        "scontrol",
        "source",
        "squeue",
        "srun",
        "sudo",
        "torchrun",
        "tr",
        "uv",
        "xvfb-run",
    ]
)
"""Programs of others, which a block may name where it is not run."""
_PART_OF_PROJECT = re.compile(r"^(?:\./)?(?:examples|scripts|tests|benchmarks|\.ci|requirements)/")


def commands(fence: Fence) -> list[list[str]]:
    """Return the words of each command, without prompts, comments and variables before it."""
    text = re.sub(r"\\\n\s*", " ", fence.text)
    lines = text.splitlines()
    if fence.language == "console":
        lines = [line[2:] for line in lines if line.startswith(("$ ", "> "))]
    found = [shlex.split(line.replace("\\", "/"), comments=True) for line in lines]
    for words in found:
        while words and (words[-1] == "&" or re.match(r"^[A-Z_]+=", words[0])):
            words.pop(-1 if words[-1] == "&" else 0)
    return [words for words in found if words]


def ours(words: list[str]) -> list[str] | None:
    """Return the arguments of our command line in a command, None where it is not called."""
    if "-m" in words and words[words.index("-m") + 1 :][:1] == ["napari_dre_slcl"]:
        rest = words[words.index("-m") + 2 :]
        return rest[1:] if rest[:1] == ["--"] else rest
    for place, word in enumerate(words):
        if Path(word).name == "dre-slcl":
            return words[place + 1 :]
    return None


def check_parses(arguments: list[str]) -> None:
    """Let the real command line parse the arguments, and stop before it runs anything."""
    name, command, rest = "dre-slcl", _command(), list(arguments)
    context: Any = None
    while True:
        before = list(rest)
        context = command.make_context(name, list(rest), parent=context)
        if not hasattr(command, "commands"):
            return
        name, command, rest = command.resolve_command(context, before)


def check_outside(words: list[str]) -> None:
    """Check what a command that is not run names of ours: extras, targets, files."""
    program = words[0]
    known = program in OUTSIDE or program == "make" or _PART_OF_PROJECT.match(program)
    assert known or program.startswith((".venv", "dre-slcl", "py")), f"unknown program: {program}"
    if program == "make":
        targets = [word for word in words[1:] if "=" not in word]
        assert set(targets) <= _targets(), words
    for word in words:
        for extra in re.findall(r"^napari-dre-slcl\[([^\]]+)\]|^\.\[([^\]]+)\]", word):
            named = "".join(extra).replace(" ", "").split(",")
            assert set(named) <= _extras(), words
        if _PART_OF_PROJECT.match(word):
            assert (ROOT / word).exists(), word
    if any(word.startswith("benchmarks/") for word in words):
        options = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert not {option for option in options if f'"{option}"' not in _benchmarks()}, words


@cache
def _command() -> Any:
    from typer.main import get_command

    from napari_dre_slcl.cli.app import app

    return get_command(app)


@cache
def _benchmarks() -> str:
    scripts = sorted((ROOT / "benchmarks").glob("*.py"))
    return "\n".join(path.read_text(encoding="utf-8") for path in scripts)


@cache
def _targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


@cache
def _extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])
