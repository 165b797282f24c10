"""Workbooks from strangers: what openpyxl would unpack and spread out is counted before."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from napari_dre_slcl.untrusted import UntrustedError
from napari_dre_slcl.untrusted.bounds import MOST_GROWTH, SMALL_BYTES

__all__ = ["check_workbook"]

_MOST_MEMBERS = 2000
_MOST_CELLS = 2 * 10**7
_MOST_DEPTH = 100
_PLACE = re.compile(r"\$?([A-Za-z]{0,3})\$?(\d{0,7})")
_BLOCK = 2**16
# openpyxl makes a cell of every place that these name.
_SPREAD = ("mergeCell", "hyperlink")


def check_workbook(path: Path) -> None:
    """Refuse a workbook that would take far more memory, or time, than its file.

    Raises
    ------
    UntrustedError
        If it is packed like no honest one, declares entities, or spreads over very many cells.
    BadZipFile, ValueError, OSError
        If it is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
        if len(members) > _MOST_MEMBERS or unpacked > SMALL_BYTES + MOST_GROWTH * _length(path):
            raise UntrustedError(
                f"it unpacks to {len(members):,} files of {unpacked / 2**30:,.2f} GiB"
            )
        for member in members:
            if member.filename.lower().endswith((".xml", ".rels", ".vml")):
                _Scan().read(_blocks(archive, member))


def _length(path: Path) -> int:
    return path.stat().st_size


def _blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(member) as stream:
        while block := stream.read(_BLOCK):
            yield block


class _Scan:
    """Goes through the tags of one part of a workbook."""

    def __init__(self) -> None:
        self._depth = 0
        self._n_cells = 0
        self._height = self._width = 0

    def read(self, blocks: Iterator[bytes]) -> None:
        """Read all of it.

        Raises
        ------
        UntrustedError
            As `check_workbook`.
        """
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = self._on_start
        parser.EndElementHandler = self._on_end
        parser.StartDoctypeDeclHandler = self._on_doctype
        try:
            for block in blocks:
                parser.Parse(block, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise UntrustedError(f"its XML is damaged ({error})") from error

    def _on_doctype(self, *_: Any) -> None:
        raise UntrustedError("it declares a document type, as no workbook does")

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise UntrustedError("it is nested too deep")
        tag = name.rpartition(" ")[2]
        if tag in ("c", "row"):
            column, row = _place(attributes.get("r", ""), row_alone=tag == "row")
            self._height, self._width = max(self._height, row), max(self._width, column)
            self._add(0)
        elif tag in _SPREAD and "ref" in attributes:
            first, _, last = attributes["ref"].partition(":")
            (left, top), (right, bottom) = _place(first), _place(last or first)
            self._add((abs(right - left) + 1) * (abs(bottom - top) + 1))

    def _on_end(self, _: str) -> None:
        self._depth -= 1

    def _add(self, n_cells: int) -> None:
        self._n_cells += n_cells
        if self._n_cells + self._height * self._width > _MOST_CELLS:
            raise UntrustedError(
                f"a sheet spreads over more than {_MOST_CELLS:,} cells; delete the cells beyond "
                "the table"
            )


def _place(text: str, *, row_alone: bool = False) -> tuple[int, int]:
    """Return column and row of a place such as B7; 0 for what is left out."""
    if row_alone:
        return 0, int(text) if text.isdecimal() and len(text) < 8 else 0
    found = _PLACE.fullmatch(text)
    if found is None:
        return 0, 0
    column = 0
    for letter in found[1].upper():
        column = 26 * column + ord(letter) - 64
    return column, int(found[2] or 0)
