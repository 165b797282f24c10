"""The row on pictures: no label or macro image in pictures, pages and the window."""

from __future__ import annotations

import subprocess
import sys

from torture.plan import Plan
from torture.private.commands import Place, sealed_environment
from torture.private.made_cohort import MadeCohort
from torture.private.search import coloured_pictures
from torture.row import Row

__all__ = ["picture_row"]

_LIMIT_S = 600.0
_SHOW = (
    "import sys; from pathlib import Path; from napari_dre_slcl.cli.window import save_screenshot; "
    "save_screenshot(*map(Path, sys.argv[1:]))"
)


def picture_row(plan: Plan, cohort: MadeCohort, place: Place, *, has_window: bool) -> Row:
    """Look for the colours of label and macro images in all pictures that were made.

    Parameters
    ----------
    plan : Plan
        Seed and folder.
    cohort : MadeCohort
        Its first slide has such images.
    place : Place
        Where the slides were predicted and exported.
    has_window : bool
        Also show the first slide with its result in napari, and take a picture of the window.
    """
    problems = []
    if has_window:
        plan.say("private: a picture of the window")
        problems += _show(cohort, place)
    pictures = [
        path
        for path in place.made.rglob("*")
        if path.suffix in (".png", ".html") and path.is_file()
    ]
    shown = coloured_pictures(place.made)
    lost = len(shown) + len(problems)
    told = [*problems, *map(str, shown)]
    what = "label and macro images: pictures, pages" + (", the window" if has_window else "")
    tried = len(pictures) + len(problems)
    return Row(what, tried, tried - lost, lost, plan.seed, "; ".join(told[:3]))


def _show(cohort: MadeCohort, place: Place) -> list[str]:
    slide, picture = cohort.slides[0], place.made / "window.png"
    result = place.made / "json" / f"{slide.stem}.dreslcl.npz"
    arguments = [str(slide), str(result), str(place.made / "run" / "model"), str(picture)]
    done = subprocess.run(
        [sys.executable, "-c", _SHOW, *arguments],
        env=sealed_environment(place.home),
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    return [] if picture.is_file() else [f"no picture of the window: {_last_line(done.stderr)}"]


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["not a word"])[-1]
