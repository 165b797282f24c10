"""What the maps are called and what they say, in the words of the user; numbers with units."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["WORDS", "MapWords", "evidence_words", "value_text"]


@dataclass(frozen=True, slots=True)
class MapWords:
    """Words of one map.

    Parameters
    ----------
    title, unit, explanation : str
        As of `TileMap`.
    """

    title: str
    unit: str
    explanation: str


WORDS = {
    "attention": MapWords(
        "Attention",
        "x average",
        "How much a tile takes part in the slide's answer: 1 is as much as the average tile. It "
        "says where the model looked, not that the tissue there is tumour.",
    ),
    "attention-percentile": MapWords(
        "Attention, rank in this slide",
        "of 100",
        "Where a tile stands among all tiles of this slide: at 90, nine of ten tiles get less "
        "attention. Some tile stands at the top of every slide, even where nothing is special.",
    ),
    "attention-cohort": MapWords(
        "Attention, rank in the cohort",
        "of 100",
        "Where a tile stands among all tiles of the searchable cohort, each in times its slide's "
        "average: at 90, nine of ten get less attention. Slides can be compared by it.",
    ),
    "distance": MapWords(
        "Distance from the codeword",
        "",
        "How far a tile lies from the codeword (the kind of tile) that it was put under. A high "
        "value says that no kind fits it well. It has no unit.",
    ),
    "freshness": MapWords(
        "Last seen in training",
        "steps ago",
        "How many training steps ago the model last looked at a tile. What it says of a tile that "
        "it saw long ago may be out of date.",
    ),
}
"""Words of each map of a result but evidence, by key."""


def evidence_words(task: str, name: str) -> MapWords:
    """Return the words of the map of what speaks for a class of a task."""
    return MapWords(
        f"Evidence for {task}: {name}" if name.lower() != task.lower() else f"Evidence for {name}",
        "% of the odds",
        f"How the model's odds of '{name}' would change if this tile counted twice, as a straight "
        f"line tells it: above 0 it speaks for '{name}' more than the rest of the slide does, "
        "below 0 less. It explains this model's answer; it is no finding about the tissue.",
    )


def value_text(unit: str, value: float) -> str:
    """Return a value of a map with its unit, in short; empty where there is none (NaN).

    Parameters
    ----------
    unit : str
        Of the map's words; empty for a plain number.
    value : float
        Of one tile.
    """
    if not math.isfinite(value):
        return ""
    if unit.startswith("%"):
        return f"{value:+.2g}%" if abs(value) < 1 else f"{value:+.1f}%"
    if unit in ("of 100", "steps ago"):
        number = f"{value:,.0f}"
    else:
        number = f"{value:.2f}" if abs(value) >= 0.01 or not value else f"{value:.1g}"
    return f"{number} {unit}".strip()
