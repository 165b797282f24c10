"""Phrases that are kept beside a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_dre_slcl.errors import ModelError
from napari_dre_slcl.insight.phrases import clean_phrase, read_phrases, write_phrases


def test_phrases_come_back_once_each_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()

    write_phrases(tmp_path, ("keratin pearls", "lymphocytes", "keratin pearls"))

    assert read_phrases(tmp_path) == ("keratin pearls", "lymphocytes")
    assert read_phrases(tmp_path / "model") == ("keratin pearls", "lymphocytes")


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"phrases": 3}', b'{"phrases": [1, ""]}', b"\xff"]
)
def test_a_file_that_holds_none_gives_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "phrases.json").write_bytes(content)

    assert read_phrases(tmp_path) == ()


def test_a_phrase_is_one_short_line() -> None:
    assert clean_phrase(" dense\n\tlympho\x00cytes ") == "dense lympho cytes"
    assert len(clean_phrase("a" * 500)) == 200


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"a file in the place of a folder")

    with pytest.raises(ModelError, match="stay until this window is closed"):
        write_phrases(tmp_path / "model", ("lymphocytes",))
