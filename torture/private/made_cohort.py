"""A cohort of slides and reports that name patients everywhere, and its table."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torture.private.dicom_slides import write_dicom
from torture.private.identities import Identities
from torture.private.tiff_slides import write_aperio, write_ndpi_like, write_odd, write_ome
from torture.private.tissue import tissue

__all__ = ["MadeCohort", "make_cohort"]

_SIDE = 768
_WRITERS: tuple[tuple[str, Callable[..., Path]], ...] = (
    (".svs", write_aperio),
    (".tif", write_ndpi_like),
    (".ome.tif", write_ome),
    ("", write_dicom),
    (".svs", write_odd),
)
_FINDINGS = ("lymphocytes beside vessels", "necrosis among glands", "mitoses in solid nests")
_HEADER = (
    "slide", "slide_id", "patient_id", "site", "mpp", "split", "subtype", "report", "surname",
    "birth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MadeCohort:
    """What was made.

    Parameters
    ----------
    table : Path
        The cohort table.
    slides : tuple of Path
        In the table's order; the kinds of files take turns.
    broken : Path
        A slide that is cut off, with names in its header; not in the table.
    """

    table: Path
    slides: tuple[Path, ...]
    broken: Path

    @property
    def kinds(self) -> tuple[Path, ...]:
        """One slide of each kind of file."""
        return self.slides[: len(_WRITERS)]


def make_cohort(folder: Path, who: Identities, n_slides: int = 10) -> MadeCohort:
    """Write slides of five kinds with their table.

    Parameters
    ----------
    folder : Path
        Where the cohort goes.
    who : Identities
        Makes what is sown.
    n_slides : int
        At least 10, so that each kind is in training and in test.
    """
    place = folder / who.word("folder", "folder of the slides")
    place.mkdir(parents=True)
    rows, slides = [], []
    for number in range(n_slides):
        suffix, write = _WRITERS[number % len(_WRITERS)]
        name = who.word("file", f"file name {number}")
        path = write(place / f"{name}{suffix}", tissue(_SIDE, number), who)
        slides.append(path)
        rows.append(_row(number, path.relative_to(folder), who, n_slides))
    table = folder / f"{who.word('table', 'name of the table')}.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _HEADER)
        writer.writeheader()
        writer.writerows(rows)
    broken = place / f"{who.word('file', 'name of a broken file')}.svs"
    write_aperio(broken, tissue(_SIDE, 99), who)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 3])
    return MadeCohort(table, tuple(slides), broken)


def _row(number: int, path: Path, who: Identities, n_slides: int) -> dict[str, str]:
    patient = who.word("patient", f"patient_id {number}")
    dark = number % 2
    words = [who.word("report", f"report {number}, {what}") for what in ("name", "MRN", "case")]
    born = who.date("report", f"report {number}, birth date")
    report = (
        f"Patient {words[0]}, born {born}, MRN {words[1]}, accession {words[2]}. "
        f"{'Dark dense tissue' if dark else 'Pale loose tissue'} with "
        f"{_FINDINGS[number // 2 % len(_FINDINGS)]}."
    )
    return {
        "slide": str(path),
        "slide_id": who.word("slide", f"slide_id {number}"),
        "patient_id": patient,
        "site": f"Site {number % 2}",
        "mpp": "0.5",
        "split": "test" if number >= n_slides - 4 else "train",
        "subtype": "AB"[dark],
        "report": report,
        "surname": who.word("column", f"column surname, row {number}"),
        "birth": who.date("column", f"column birth, row {number}"),
    }
