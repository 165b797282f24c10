"""Slides that are ready are known again, while their file and their result stay as they were."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.insight.index_journal import IndexJournal, KnownSlide, mark_of_result
from napari_dre_slcl.insight.index_part import IndexFacts, IndexSource
from napari_dre_slcl.insight.write_index import write_index

MakeSources = Callable[..., list[IndexSource]]


@pytest.fixture
def known(sources_of: MakeSources, tmp_path: Path) -> KnownSlide:
    result = tmp_path / "a.dreslcl.npz"
    result.write_bytes(b"result")
    slide = replace(sources_of({"a": 7})[0].slide, result=result)
    return KnownSlide(slide, mark_of_result("file 1", result), "a: not searchable.")


def test_a_slide_is_known_after_a_kill_until_its_file_or_result_is_another(
    known: KnownSlide, tmp_path: Path
) -> None:
    folder, result = tmp_path / "index", known.slide.result
    IndexJournal(folder).add(known)
    with (folder / ".building.jsonl").open("a") as stream:
        stream.write('{"slide": {"slide_id": "half')
    journal = IndexJournal(folder)
    assert journal.known("a", "file 1", result) == known
    assert journal.known("a", "file 2", result) is None
    assert journal.known("b", "file 1", result) is None
    result.write_bytes(b"another result")
    assert journal.known("a", "file 1", result) is None
    result.unlink()
    assert journal.known("a", "file 1", result) is None
    with pytest.raises(SlideError, match="cannot be read"):
        mark_of_result("file 1", result)


def test_slides_of_a_whole_index_are_known_without_a_journal(
    known: KnownSlide, sources_of: MakeSources, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    journal = IndexJournal(folder)
    journal.add(known)
    source = replace(sources_of({"a": 7})[0], slide=known.slide, mark=known.mark, note=known.note)
    write_index(folder, IndexFacts("model", "hash", "dre-slcl", 3, 6), [source])
    journal.delete()
    found = IndexJournal(folder).known("a", "file 1", known.slide.result)
    assert found == known
