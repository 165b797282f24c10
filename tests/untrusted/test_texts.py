"""Texts, names and cells of strangers."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_dre_slcl.cohort.delimited_text import read_delimited
from napari_dre_slcl.cohort.problems import Findings
from napari_dre_slcl.cohort.split_table import read_splits
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.untrusted import (
    UntrustedError,
    defuse,
    inside,
    own_size,
    parse_json,
    parse_toml,
    plain_name,
    read_bytes,
    restore,
)

LIVE = ("=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "\r=1", "＝1+1", "-2+3+cmd|' /C calc'!A0")
quick = settings(max_examples=100, deadline=None, derandomize=True)
cells = st.text(alphabet=st.sampled_from("=+-@'\t\r\n＝ a1.e"), max_size=8) | st.text(max_size=8)


@pytest.mark.parametrize("text", LIVE)
def test_a_formula_is_marked_as_text(text: str) -> None:
    assert defuse(text) == f"'{text}".replace("\r", "\n")


@pytest.mark.parametrize("text", ["-1", "+0.5", "-1e-3", "-", "a=b", "", "P-1", "-,5", "-inf"])
def test_numbers_and_usual_text_stay(text: str) -> None:
    assert defuse(text) == text == restore(text)


@quick
@given(cells)
def test_what_is_marked_comes_back(text: str) -> None:
    assert restore(defuse(text)) == re.sub(r"\r(?!\n)", "\n", text)  # see test_cells
    assert not defuse(text).startswith(("=", "@", "\t", "\r", "＝"))


@pytest.mark.parametrize("text", ["[" * 10**5, '{"a":' * 10**5])
def test_deep_json_is_refused(text: str) -> None:
    with pytest.raises(UntrustedError, match="too deep"):
        parse_json(text)


@pytest.mark.parametrize("text", ["x = " + "[" * 10**5, ".".join("a" * 10**5) + " = 1"])
def test_deep_toml_is_refused(text: str) -> None:
    with pytest.raises(UntrustedError, match="too deep"):
        parse_toml(text)


@quick
@given(st.text(max_size=60) | st.text(alphabet='[]{}",:.=a1\n', max_size=60))
def test_any_text_is_read_or_a_value_error(text: str) -> None:
    for parse in (parse_json, parse_toml):
        with suppress(ValueError):
            parse(text)


@quick
@given(st.binary(max_size=80))
def test_any_bytes_are_a_table_or_problems(content: bytes) -> None:
    rows = read_delimited(content, Findings())
    assert all(isinstance(cell, str) for row in rows for cell in row)


@quick
@given(text=st.text(alphabet='slide_id,role"\n;train=test \t', max_size=80))
def test_any_text_is_a_split_file_or_refused(text: str, tmp_path_factory: object) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "splits.csv"  # type: ignore[attr-defined]
    path.write_text(text, encoding="utf-8")
    with suppress(CohortError):
        read_splits(path)


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", "C:x", "a\0", 7, None, "x" * 300])
def test_a_name_that_is_a_path_is_refused(name: object) -> None:
    with pytest.raises(UntrustedError):
        plain_name(name)


def test_a_file_stays_in_its_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out.json"
    folder.mkdir()
    outside.write_text("{}")
    (folder / "link.json").symlink_to(outside)
    (folder / "own.json").write_text("{}")
    (tmp_path / "alias").symlink_to(folder)
    assert inside(tmp_path / "alias", "own.json").read_text() == "{}"
    for name in ("../out.json", "link.json", str(outside)):
        with pytest.raises(UntrustedError, match="leads out of the folder"):
            inside(folder, name)
    with pytest.raises(UntrustedError, match="is a link"):
        own_size(folder)


def test_only_so_much_of_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(UntrustedError, match=r"longer than 1,024 bytes"):
        read_bytes(path, 1024)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UntrustedError, match="a pipe or a device"):
        read_bytes(tmp_path / "pipe", 1024)
