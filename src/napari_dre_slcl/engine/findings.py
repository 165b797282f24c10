"""Doubtful pixel sizes are told once, before work starts that rests on them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.slide import SlideInfo

__all__ = ["warn_of_findings"]

_SHOWN_SLIDES = 5


def warn_of_findings(slides: Iterable[SlideInfo], reporter: Reporter) -> None:
    """Send one warning per kind of finding, with the other slides that have it.

    Notes need no telling, and a slide with an error is refused with that error's sentence.

    Parameters
    ----------
    slides : iterable of SlideInfo
        Of the job.
    reporter : Reporter
        Told each warning.
    """
    sentences: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for info in slides:
        for found in info.findings:
            if found.severity != "warning":
                continue
            if found.code in sentences:
                others[found.code].append(Path(info.path).name)
            else:
                sentences[found.code] = found.sentence
                others[found.code] = []
    for code, sentence in sentences.items():
        reporter.warn_once(sentence + _and_others(others[code]))


def _and_others(names: list[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:_SHOWN_SLIDES])
    rest = len(names) - _SHOWN_SLIDES
    more = f" and {rest} more" if rest > 0 else ""
    noun = "slide" if len(names) == 1 else "slides"
    return f" So it is with {len(names)} more {noun} of this job: {shown}{more}."
