"""The names of the package: each is there, on the page, and loaded only when it is asked for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import napari_dre_slcl

PAGE = Path(__file__).resolve().parents[1] / "docs/reference/api.md"


@pytest.mark.parametrize("name", napari_dre_slcl.__all__)
def test_a_public_name_is_there_and_on_the_page(name: str) -> None:
    assert getattr(napari_dre_slcl, name) is not None
    if name != "__version__":
        assert re.search(rf"\b{name}\b", PAGE.read_text(encoding="utf-8"))


def test_the_page_documents_what_exists() -> None:
    import importlib

    for path in re.findall(r"^::: (\S+)$", PAGE.read_text(encoding="utf-8"), re.M):
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name).__doc__


def test_names_that_need_no_torch_load_none() -> None:
    code = (
        "import sys, napari_dre_slcl as slcl; "
        "[slcl.DreSlclClassifier, slcl.train, slcl.TileIndex, slcl.read_cohort, slcl.load_result]; "
        "assert not {'torch', 'napari', 'qtpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=250)
