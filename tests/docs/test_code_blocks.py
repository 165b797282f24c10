"""Every block of code in the pages is run, or says why not and is looked at all the same.

Commands run through the program's own entry, in a folder with tiny files of the names that the page
uses. A block that is not run has the comment `<!-- not run: REASON -->` before it.
"""

from __future__ import annotations

import csv
import glob
import io
import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_dre_slcl.slide.block_cache import viewer_cache
from tests.docs import shell_lines
from tests.docs.fences import Fence, fences, indented_code
from tests.docs.tiny_world import TinyWorld, inside, quick_presets, quickly, run

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [fence for page in PAGES for fence in fences(page)]
SHELL = ("sh", "console")
RUN = [
    fence for fence in BLOCKS if fence.language in (*SHELL, "python") and fence.is_run_in_parts()
]
RUN_PAGES = list(dict.fromkeys(fence.page for fence in RUN))


def _check_csv(text: str) -> None:
    header, *rows = csv.reader(io.StringIO(text))
    assert len(set(header)) == len(header)
    assert {len(row) for row in rows} == {len(header)}


def _check_settings(text: str) -> None:
    from napari_dre_slcl.config import setting_names

    sections = tomllib.loads(text)
    known = set(setting_names())
    named = {
        f"{section}.{key}"
        for section, values in sections.items()
        if isinstance(values, dict)
        for key in values
    }
    assert named <= known, named - known


CHECKS: dict[str, Callable[[str], object]] = {
    "csv": _check_csv,
    "json": json.loads,
    "toml": _check_settings,
    "text": str,  # what a program prints, or a drawing
}


@pytest.mark.parametrize("fence", BLOCKS, ids=str)
def test_every_block_is_of_a_known_kind_and_what_it_names_is_there(fence: Fence) -> None:
    if fence.language == "python":
        compile(fence.text, str(fence), "exec")
    elif fence.language in SHELL:
        for words in shell_lines.commands(fence):
            arguments = shell_lines.ours(words)
            if arguments is None:
                assert not fence.is_run(" ".join(words)), f"say why it is not run: {words}"
                shell_lines.check_outside(words)
            else:
                shell_lines.check_parses(arguments)
    else:
        assert fence.language in CHECKS, f"{fence} needs a language that is known"
        CHECKS[fence.language](fence.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_hides_in_an_indented_block(page: Path) -> None:
    found = indented_code(page)
    assert not found, f"write it between fences, so that it is run: {found}"


@pytest.mark.parametrize("fence", [f for f in BLOCKS if f.phrases], ids=str)
def test_what_is_excused_is_there(fence: Fence) -> None:
    lines = [" ".join(words) for words in shell_lines.commands(fence)]
    for phrase in fence.phrases:
        assert any(phrase in line for line in lines), f"no command has '{phrase}'"


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    make_slide: Callable[..., Path],
    make_labelled_slide: Callable[[Path], Path],
) -> Iterator[TinyWorld]:
    """Make the basis once, and let all presets be quick."""
    folder = tmp_path_factory.mktemp("world")
    drawn_bytes = viewer_cache().limit_bytes
    with quick_presets():
        labelled = make_labelled_slide(folder / "labelled.svs")
        yield TinyWorld(folder / "basis", make_slide, labelled)
    viewer_cache().limit_bytes = drawn_bytes  # a page raises it


@pytest.mark.parametrize("page", RUN_PAGES, ids=lambda page: page.stem)
def test_blocks_of_a_page_run_in_their_order(page: Path, world: TinyWorld, tmp_path: Path) -> None:
    blocks = [fence for fence in RUN if fence.page == page]
    text = "\n".join(_what_runs(fence) for fence in blocks)
    names: dict[str, Any] = {"__name__": "__main__"}
    with inside(world.copy_for(text, tmp_path / "work")):
        for fence in blocks:
            if fence.language == "python":
                exec(compile(fence.text, str(fence), "exec"), names)
            else:
                _run_commands(fence)


def _what_runs(fence: Fence) -> str:
    if fence.language == "python":
        return fence.text
    lines = [" ".join(words) for words in shell_lines.commands(fence)]
    return "\n".join(line for line in lines if fence.is_run(line))


def _run_commands(fence: Fence) -> None:
    for words in shell_lines.commands(fence):
        arguments = shell_lines.ours(words)
        if arguments is None or not fence.is_run(" ".join(words)):
            continue
        spread = [name for word in arguments for name in (sorted(glob.glob(word)) or [word])]
        if spread[0] == "train":  # a reader begins without the run folder
            shutil.rmtree(spread[spread.index("--run") + 1], ignore_errors=True)
        run(quickly(spread))
