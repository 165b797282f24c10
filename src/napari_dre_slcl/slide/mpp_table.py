"""Pixel sizes that users gave for slides: a small table beside the slides, never in them.

Where the folder cannot be written to, the table is in the user's own configuration folder. A line
is for one file, told by its name and its size in bytes.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import filelock

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.info import Finding
from napari_dre_slcl.slide.pixel_size import MPP_RANGE, check_mpp
from napari_dre_slcl.user_folder import user_folder

__all__ = ["TABLE_NAME", "StoredAnswer", "forget_mpp", "recall_mpp", "remember_mpp", "user_table"]

TABLE_NAME = "dre-slcl-mpp.csv"

_COLUMNS = ("slide", "mpp", "size_bytes")
_NAME_ERRORS = "surrogateescape"  # as Python does for file names that are not UTF-8
_UNDECODED = frozenset(map(chr, range(0xDC80, 0xDD00)))
_LOCK_NAME = f".{TABLE_NAME}.lock"
_LOCK_WAIT_S = 10.0

_Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the tables know of a slide.

    Parameters
    ----------
    mpp : float or None
        µm per level-0 pixel; None where there is no answer.
    table : Path or None
        Where it stands.
    findings : tuple of Finding
        What is wrong with the tables.
    """

    mpp: float | None
    table: Path | None
    findings: tuple[Finding, ...] = ()


class _BrokenTableError(ValueError):
    """The text says why, as a part of a sentence."""


def user_table() -> Path:
    """Return the table for slides whose folder cannot be written to."""
    return user_folder() / TABLE_NAME


def recall_mpp(slide: str | Path) -> StoredAnswer:
    """Look up what a user answered for a slide; the user's own table goes first.

    Parameters
    ----------
    slide : str or Path
        Slide file, or the folder of a DICOM slide.
    """
    path = Path(os.path.abspath(slide))
    findings: list[Finding] = []
    for table, name in _places(path):
        try:
            mpp, is_of_other = _look_up(table, name, path)
        except _BrokenTableError as broken:
            sentence = f"Slide '{path.name}': {_cannot_be_used(table, broken)}"
            findings.append(
                Finding(code="stored-answer-broken", severity="warning", sentence=sentence)
            )
            continue
        if mpp is not None:
            return StoredAnswer(mpp, table, tuple(findings))
        if is_of_other:
            sentence = (
                f"Slide '{path.name}': the pixel size stored in '{table}' is not used, since it "
                "was given for a file of this name and another size; give it again if it holds."
            )
            findings.append(
                Finding(code="stored-answer-of-other-file", severity="note", sentence=sentence)
            )
    return StoredAnswer(None, None, tuple(findings))


def remember_mpp(slide: str | Path, mpp: float) -> Path:
    """Store a user's answer, beside the slide where that is possible.

    Parameters
    ----------
    slide : str or Path
        Slide file, or the folder of a DICOM slide.
    mpp : float
        µm per level-0 pixel, 0.1 to 10.

    Returns
    -------
    Path
        The table that has it now.

    Raises
    ------
    SlideError
        If the value is not plausible, or no table can be written.
    """
    path = Path(os.path.abspath(slide))
    value = f"{check_mpp(path.name, mpp):.10g}"
    own, beside = _places(path)
    try:
        _replace(beside, path, (beside[1], value, str(_size_bytes(path))))
    except OSError:  # a folder that cannot be written to
        try:
            _replace(own, path, (own[1], value, str(_size_bytes(path))))
        except OSError as error:
            raise SlideError(
                f"The pixel size of slide '{path.name}' cannot be stored: neither '{beside[0]}' "
                f"nor '{own[0]}' can be written ({error.strerror}); give it with mpp= or in the "
                "cohort table's mpp column."
            ) from error
        return own[0]
    if own[0].exists():  # an older answer there would go first
        _change_or_say_why(own, path)
    return beside[0]


def forget_mpp(slide: str | Path) -> tuple[Path, ...]:
    """Take a stored answer out of the tables.

    Returns
    -------
    tuple of Path
        The tables that had one.

    Raises
    ------
    SlideError
        If a table cannot be read or written.
    """
    path = Path(os.path.abspath(slide))
    tables = [place for place in _places(path) if place[0].exists()]
    return tuple(place[0] for place in tables if _change_or_say_why(place, path))


def _places(path: Path) -> tuple[tuple[Path, str], tuple[Path, str]]:
    """Return the user's own table and that beside a slide, each with the slide's name in it."""
    return (user_table(), str(path)), (path.parent / TABLE_NAME, path.name)


def _size_bytes(path: Path) -> int:
    """Return the bytes of a file, or of the files of a DICOM folder."""
    try:
        if not path.is_dir():
            return path.stat().st_size
        with os.scandir(path) as entries:
            files = [entry for entry in entries if entry.is_file()]
        ours = (TABLE_NAME, _LOCK_NAME)
        return sum(file.stat().st_size for file in files if file.name not in ours)
    except FileNotFoundError as error:
        raise SlideError(f"Slide '{path}' does not exist; check the path.") from error


def _look_up(table: Path, name: str, path: Path) -> tuple[float | None, bool]:
    """Return the answer for a slide, and whether there is one for another file of its name."""
    rows = [row for row in _read(table) if _is_about(row[0], table, name)]
    rows.sort(key=lambda row: row[0] == name)  # an exact name goes before, so it stands last
    if not rows:
        return None, False
    size = str(_size_bytes(path))
    texts = [row[1] for row in rows if row[2] == size]
    if not texts:
        return None, True
    try:
        mpp = float(texts[-1])
    except ValueError:
        mpp = 0.0
    if not MPP_RANGE[0] <= mpp <= MPP_RANGE[1]:
        raise _BrokenTableError(
            f"its line for this slide gives mpp '{texts[-1]}', not a number between "
            f"{MPP_RANGE[0]:g} and {MPP_RANGE[1]:g}"
        )
    return mpp, False


def _change_or_say_why(place: tuple[Path, str], path: Path) -> bool:
    try:
        return _replace(place, path, None)
    except OSError as error:
        raise SlideError(
            f"The table of pixel sizes '{place[0]}' cannot be changed ({error.strerror}); check "
            "its permissions."
        ) from error


def _replace(place: tuple[Path, str], path: Path, row: _Row | None) -> bool:
    """Put one line in place of the slide's line, or take that out; all other lines stay."""
    table, name = place
    size = str(_size_bytes(path))
    with _locked(table):
        try:
            header, *rows = _read_text(table)
            _check_columns(header)
        except _BrokenTableError as broken:
            raise SlideError(_cannot_be_used(table, broken)) from broken
        index = [header.index(column) for column in _COLUMNS]
        kept = [
            line
            for line in rows
            if len(line) <= max(index)
            or line[index[2]].strip() != size
            or not _is_about(line[index[0]], table, name)
        ]
        was_there = len(kept) < len(rows)
        if row is not None:
            values = dict(zip(_COLUMNS, row, strict=True))
            kept.append(tuple(values.get(column, "") for column in header))
        if kept != rows:
            _write(table, [header, *kept])
        return was_there


def _is_about(cell: str, table: Path, name: str) -> bool:
    """Say whether a line is for a slide, even one edited by hand with blanks around the name."""
    if cell == name or cell.strip() != name:
        return cell == name
    spaced = table.parent / cell  # maybe the name of another file
    return not os.path.lexists(spaced) or (
        os.path.realpath(spaced) == os.path.realpath(table.parent / name)
    )


@contextmanager
def _locked(table: Path) -> Iterator[None]:
    """Keep other processes from changing a table meanwhile."""
    table.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(table.with_name(_LOCK_NAME), timeout=_LOCK_WAIT_S):
            yield
    except filelock.Timeout as error:
        raise SlideError(
            f"The table of pixel sizes '{table}' is being changed by another process; try again."
        ) from error


def _read(table: Path) -> tuple[_Row, ...]:
    """Return (slide, mpp, size_bytes) of each line; none where there is no table."""
    try:
        stat = table.stat()
    except OSError:
        return ()
    return _parsed(table, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=16)
def _parsed(table: Path, stamp: tuple[int, ...]) -> tuple[_Row, ...]:
    """Parse a table once for as long as its stamp stays: a cohort asks for every slide."""
    header, *rows = _read_text(table)
    _check_columns(header)
    index = [header.index(column) for column in _COLUMNS]
    slide, mpp, size = index
    return tuple(
        (line[slide], line[mpp].strip(), line[size].strip())
        for line in rows
        if len(line) > max(index)
    )


def _read_text(table: Path) -> list[_Row]:
    """Return every line, the header first; a header alone where there is no table."""
    try:
        # File names need not be UTF-8, and may hold line ends of any kind.
        with table.open(encoding="utf-8-sig", errors=_NAME_ERRORS, newline="") as stream:
            text = stream.read()
    except FileNotFoundError:
        return [_COLUMNS]
    except OSError as error:
        raise _BrokenTableError(f"it cannot be read, {error.strerror}") from error
    if any(sign in _UNDECODED for sign in text.partition("\n")[0]):
        raise _BrokenTableError("it is no text in UTF-8")
    try:
        rows = [tuple(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise _BrokenTableError(f"it is no CSV file, {error}") from error
    return rows or [_COLUMNS]


def _check_columns(header: Sequence[str]) -> None:
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise _BrokenTableError(f"its first line lacks {' and '.join(map(repr, missing))}")


def _write(table: Path, rows: Sequence[_Row]) -> None:
    with atomic_writer(table) as stream:
        for row in rows:
            stream.write(_line(row).encode(errors=_NAME_ERRORS))


def _line(row: _Row) -> str:
    """Return a line of CSV; the writer quotes those signs only that its line ends consist of."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(row)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cannot_be_used(table: Path, broken: _BrokenTableError) -> str:
    return (
        f"the table of pixel sizes '{table}' cannot be used: {broken}; "
        "correct the table, or delete it and give the sizes again."
    )
