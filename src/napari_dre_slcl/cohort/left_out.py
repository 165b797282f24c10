"""Slides that could not be embedded: the list beside the feature files, with a reason for each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.cohort.feature_store import feature_file
from napari_dre_slcl.cohort.rows import Cohort
from napari_dre_slcl.plain_text import visible
from napari_dre_slcl.slide.urls import is_remote
from napari_dre_slcl.untrusted import UntrustedError, defuse, read_bytes, restore

__all__ = ["LEFT_OUT", "read_left_out", "without_left_out", "write_left_out"]

LEFT_OUT = "left-out.csv"
_HEADER = ["slide_id", "reason"]
_MOST_BYTES = 2**26


def write_left_out(out: Path, broken: Mapping[str, str]) -> Path | None:
    """Write the slides that were left out with their reasons; remove an older list.

    Returns
    -------
    Path or None
        The table; None where no slide was left out.
    """
    path = out / LEFT_OUT
    if not broken:
        path.unlink(missing_ok=True)
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((defuse(visible(cell)) for cell in row) for row in broken.items())
    write_text(path, text.getvalue())
    return path


def read_left_out(folder: Path) -> dict[str, str]:
    """Return why slides have no file in a folder of features; empty where no list can be read."""
    path = folder / LEFT_OUT
    if is_remote(folder) or not path.is_file():
        return {}
    try:
        text = read_bytes(path, _MOST_BYTES).decode("utf-8")
        rows = [row for row in csv.reader(io.StringIO(text)) if len(row) == len(_HEADER)]
    except (OSError, UntrustedError, UnicodeDecodeError, csv.Error):
        return {}
    if not rows or rows[0] != _HEADER:
        return {}
    return {restore(slide_id): restore(reason) for slide_id, reason in rows[1:]}


def without_left_out(cohort: Cohort, folder: Path) -> tuple[Cohort, dict[str, str]]:
    """Return a cohort without the slides that could not be embedded, and why they could not.

    A slide that lacks its file and is not on the list stays: that may be a wrong folder.
    """
    listed = read_left_out(folder)
    gone = {
        row.slide_id: listed[row.slide_id]
        for row in cohort.rows
        if row.slide_id in listed
        and feature_file(folder, [row.slide_id, *([row.path.stem] if row.path else [])]) is None
    }
    kept = tuple(row for row in cohort.rows if row.slide_id not in gone)
    return replace(cohort, rows=kept), gone
