"""Makes a cohort of many small slides, each with a picture of its own, some of them broken."""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_dre_slcl.cohort.synthetic import generate_cohort
from napari_dre_slcl.cohort.synthetic_slide import write_pyramid
from torture.endurance.broken import WAYS, break_slide

__all__ = ["Crowd", "make_crowd"]

_MOTHERS = 6
_SIDE_PX = 512
_WORDS = ("with glands", "solid", "with necrosis", "close to the pleura", "of small cells")
_COLUMNS = ("slide_id", "slide", "patient_id", "grade", "report")


@dataclass(frozen=True, slots=True)
class Crowd:
    """A cohort, and what is wrong with it.

    Parameters
    ----------
    table : Path
        The cohort table.
    names : list of str
        All slides.
    broken : dict of str
        The broken ones, and in which way.
    """

    table: Path
    names: list[str]
    broken: dict[str, str]

    @property
    def sound(self) -> set[str]:
        """The others."""
        return set(self.names) - set(self.broken)


def make_crowd(folder: Path, count: int, share: float, draw: random.Random) -> Crowd:
    """Make a cohort.

    Parameters
    ----------
    folder : Path
        To be made.
    count : int
        Number of slides.
    share : float
        So many of them are broken; at least two.
    draw : random.Random
        Draws which, and how.
    """
    mothers = _mothers(folder / "mothers")
    slides = folder / "slides"
    slides.mkdir()
    names = [f"s{number:04d}" for number in range(count)]
    for number, name in enumerate(names):
        picture = np.roll(mothers[number % _MOTHERS], (7 * number, 13 * number), axis=(0, 1))
        write_pyramid(slides / f"{name}.tif", picture)
    chosen = draw.sample(names, max(2, round(share * count)))
    ways = sorted(WAYS)
    draw.shuffle(ways)
    broken = {name: ways[number % len(ways)] for number, name in enumerate(sorted(chosen))}
    for name, way in broken.items():
        break_slide(slides / f"{name}.tif", way, draw)
    return Crowd(_write_table(folder / "cohort.csv", names), names, broken)


def _mothers(folder: Path) -> list[NDArray[np.uint8]]:
    table = generate_cohort(folder, n_slides=_MOTHERS, side_px=1024)
    paths = sorted((table.parent / "slides").glob("*.tif"))
    return [_darkest(tifffile.imread(path)) for path in paths]


def _darkest(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the part of a slide with the most tissue."""
    places = range(0, len(picture) - _SIDE_PX + 1, 128)
    parts = [picture[y : y + _SIDE_PX, x : x + _SIDE_PX] for y in places for x in places]
    return min(parts, key=np.mean)


def _write_table(path: Path, names: list[str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for number, name in enumerate(names):
            grade = "low" if number % 2 else "high"
            # Two slides of each patient.
            report = f"A {grade} grade tumour, {_WORDS[number % len(_WORDS)]}."
            writer.writerow((name, f"slides/{name}.tif", f"p{number // 2}", grade, report))
    return path
