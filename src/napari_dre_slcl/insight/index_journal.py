"""Which slides are ready for an index, so that a job that goes on need not read their results.

Slides of an index that is whole stand in its header; those that were done since then in a file
beside it, one JSON line each, which is deleted when the next index is whole.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import append_lines, make_folder
from napari_dre_slcl.errors import SearchError, SlideError
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_header import read_header
from napari_dre_slcl.untrusted import parse_json

__all__ = ["IndexJournal", "KnownSlide", "mark_of_result"]

_FILE = ".building.jsonl"


@dataclass(frozen=True, slots=True)
class KnownSlide:
    """A slide whose result is there.

    Parameters
    ----------
    slide : IndexedSlide
        As of the index.
    mark : str
        Another one where its result is another: `mark_of_result`.
    note : str
        What the user is told of it; empty for nothing.
    """

    slide: IndexedSlide
    mark: str
    note: str = ""


def mark_of_result(mark: str, result: Path) -> str:
    """Return a text that tells what a result was made from, and one state of its file from others.

    Parameters
    ----------
    mark : str
        What it was made from.
    result : Path
        Its file.

    Raises
    ------
    SlideError
        If there is no such file.
    """
    try:
        facts = result.stat()
    except OSError as error:
        raise SlideError(f"The result '{result}' cannot be read: {error.strerror}.") from error
    told = f"{mark} {facts.st_size} {facts.st_mtime_ns}"
    return hashlib.sha256(told.encode()).hexdigest()[:32]


class IndexJournal:
    """Slides of an index that is made.

    Parameters
    ----------
    folder : Path
        Of the index.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._known = _of_index(folder) | _of_lines(self._path)

    def known(self, slide_id: str, mark: str, result: Path) -> KnownSlide | None:
        """Return a slide that is ready, where what it was made from and its file are the same."""
        known = self._known.get(slide_id)
        if known is None or not result.is_file():
            return None
        is_same = known.mark == mark_of_result(mark, result)
        return replace(known, slide=replace(known.slide, result=result)) if is_same else None

    def add(self, known: KnownSlide) -> None:
        """Note a slide that is ready.

        Raises
        ------
        SearchError
            If that cannot be written.
        """
        self._known[known.slide.slide_id] = known
        record = asdict(known)
        record["slide"]["result"] = str(known.slide.result)
        try:
            make_folder(self._path.parent)
            append_lines(self._path, [json.dumps(record)], is_durable=True)
        except OSError as error:
            raise SearchError(
                f"'{self._path}' cannot be written: {error.strerror}. Make room, or choose another "
                "folder."
            ) from error

    def delete(self) -> None:
        """Forget what the index itself says by now."""
        self._path.unlink(missing_ok=True)


def _of_index(folder: Path) -> dict[str, KnownSlide]:
    try:
        header = read_header(folder)
    except SearchError:
        return {}
    marks = header.marks or [""] * len(header.slides)  # format 1 has none
    notes = dict(header.notes)
    return {
        slide.slide_id: KnownSlide(slide, mark, notes.get(slide.slide_id, ""))
        for slide, mark in zip(header.slides, marks, strict=True)
    }


def _of_lines(path: Path) -> dict[str, KnownSlide]:
    """Read the lines that are whole: a process that was killed may have left half of one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = (_parsed(line) for line in lines)
    return {known.slide.slide_id: known for known in found if known is not None}


def _parsed(line: str) -> KnownSlide | None:
    try:
        record: dict[str, Any] = parse_json(line)
        fields = record["slide"]
        fields |= {"result": Path(fields["result"]), "slide_shape": tuple(fields["slide_shape"])}
        return KnownSlide(IndexedSlide(**fields), record["mark"], record["note"])
    except (ValueError, KeyError, TypeError):
        return None
