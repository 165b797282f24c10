"""The examples in the docstrings of the public names give what they say."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path

import pytest

import napari_dre_slcl

FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FOUND = {
    test.name: test
    for name in napari_dre_slcl.__all__
    for test in doctest.DocTestFinder(recurse=False).find(getattr(napari_dre_slcl, name), name)
    if test.examples
}


def test_the_names_that_a_newcomer_meets_have_an_example() -> None:
    assert {"DreSlclClassifier", "load_preset", "open_slide", "read_cohort", "tile_slide"} <= {
        *FOUND
    }


@pytest.mark.parametrize("name", FOUND)
def test_an_example_gives_what_it_says(
    name: str,
    slide_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run it in a folder with a slide."""
    slide_file("slide.tif")
    monkeypatch.chdir(tmp_path)
    said: list[str] = []

    result = doctest.DocTestRunner(optionflags=FLAGS).run(FOUND[name], out=said.append)

    assert result.failed == 0, "".join(said)
    assert result.attempted > 1
