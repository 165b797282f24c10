"""The documentation names what the code has: settings, dependencies, commands, links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_dre_slcl.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_settings_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "--markdown"]) == 0
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    table = page[page.index("| setting") :]
    assert table == capsys.readouterr().out, "paste the output of: dre-slcl presets --markdown"


def test_every_dependency_has_its_reason_and_no_other_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    optional = [name for key in extras if key != "all" for name in extras[key]]
    required = [*project["dependencies"], *optional]
    names = {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in required}
    page = (ROOT / "docs/develop/dependencies.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([^`]+)` \|", page, flags=re.MULTILINE))
    assert listed == names


def test_the_page_of_installation_names_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs/getting-started/install.md").read_text(encoding="utf-8")
    table = page.partition("| extra |")[2].partition("\n\n")[0]
    listed = re.findall(r"^\| `([\w-]+)` \|", table, flags=re.MULTILINE)
    assert set(listed) == set(project["optional-dependencies"])


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name, such as 'cohort check'."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def test_every_command_and_option_is_on_the_command_page() -> None:
    from typer.main import get_command

    from napari_dre_slcl.cli.app import app

    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    for name, command in _commands(get_command(app)):
        (line,) = (row for row in page.splitlines() if re.match(rf"\| `dre-slcl {name}[ `]", row))
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.opts[-1] in line


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = _without_code(page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)", text):
        target, _, anchor = link.partition("#")
        if "://" in link:
            continue
        file = page.parent / target if target else page
        assert file.exists(), link
        if anchor:
            assert anchor in _anchors(file), f"no heading of '{target}' is called '{anchor}'"


def _without_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Return what the headings of a page, and the names that it documents, are called in links."""
    text = page.read_text(encoding="utf-8")
    found: set[str] = set(re.findall(r"^::: (\S+)", text, flags=re.MULTILINE))
    for heading in re.findall(r"^#+ (.+)$", _without_code(text), flags=re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", re.sub(r"\]\([^)]*\)", "]", heading)).strip().lower()
        found.add(re.sub(r"[-\s]+", "-", words))
    return found
