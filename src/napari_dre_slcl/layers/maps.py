"""Maps: values of a result's tiles that can be drawn over the slide, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.layers.map_words import WORDS, MapWords, evidence_words
from napari_dre_slcl.results import SlideResult

__all__ = [
    "ATTENTION_KEY",
    "SIMILARITY_KEY",
    "MapChoice",
    "TileMap",
    "available_maps",
    "percentiles",
    "times_average",
]

ATTENTION_KEY = "attention"
"""Key of the map that a new result is shown with."""
SIMILARITY_KEY = "similarity"
"""Key of maps of the likeness of tiles and a phrase."""

Values = NDArray[np.float32]
Limits = tuple[float, float]
MapKind = Literal["sequential", "diverging"]
CohortPercentile = Callable[[Values], NDArray[np.floating[Any]]]

_TOP_PERCENTILE = 99.0
_LEAST_ATTENTION_TOP = 2.0  # so that even attention, 1 everywhere, does not look like a peak
_PER_CENT = 100.0
_STEPS = (1, 1.5, 2, 3, 4, 5, 7, 10)


@dataclass(frozen=True, slots=True, eq=False)
class TileMap:
    """One value per tile, ready to be drawn.

    Parameters
    ----------
    key : str
        Name of the map for programs: ``attention``, ``evidence:TASK:CLASS``, ...
    title : str
        Name for the user.
    unit : str
        Of the values; may be empty.
    explanation : str
        What the values mean and do not mean, in one or two sentences.
    values : ndarray
        (n,) float32 in the order of the result's tile table.
    limits : tuple of float
        Lowest and highest value of the colours; symmetric around 0 in diverging maps.
    kind : str
        ``sequential``: clear to bright; ``diverging``: two colours, clear at 0.
    extremes : tuple of float
        Lowest and highest value that ``limits`` may be set to: of all values, and symmetric around
        0 in diverging maps.
    """

    key: str
    title: str
    unit: str
    explanation: str
    values: Values
    limits: Limits
    kind: MapKind = "sequential"
    extremes: Limits = (0.0, 1.0)

    @property
    def label(self) -> str:
        """Title with unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @classmethod
    def of(
        cls,
        key: str,
        words: MapWords,
        values: NDArray[Any],
        kind: MapKind = "sequential",
        limits: Limits | None = None,
    ) -> TileMap:
        """Return a map; without limits its colours span all but the outermost values.

        Parameters
        ----------
        key : str
            Short name, such as ``attention``.
        words : MapWords
            Its name, unit and explanation.
        values : ndarray, shape (n,)
            One number per tile.
        kind : str, default 'sequential'
            Which colours suit the values.
        limits : (float, float), optional
            Values of the first and the last colour.
        """
        column = np.asarray(values, np.float32)
        numbers = _numbers(column)
        span = limits or _span(numbers, kind)
        ends = _extremes(numbers, kind)
        return cls(key, words.title, words.unit, words.explanation, column, span, kind, ends)


@dataclass(frozen=True, slots=True, eq=False)
class MapChoice:
    """A map that a result has; its values are worked out by `make` only.

    Parameters
    ----------
    key, title, unit, explanation : str
        As of `TileMap`.
    make : callable
        Returns the `TileMap`; may be called in any thread.
    """

    key: str
    title: str
    unit: str
    explanation: str
    make: Callable[[], TileMap]


def available_maps(
    result: SlideResult, cohort_percentile: CohortPercentile | None = None
) -> tuple[MapChoice, ...]:
    """Return the maps that a result has, attention first; none where it has no tiles.

    Parameters
    ----------
    result : SlideResult
        Of any slide.
    cohort_percentile : callable, optional
        Turns (n,) attention, in times the slide's average, into percentiles of 0-100 among the
        tiles of a cohort, as ``partial(attention_percentile, index)`` does.

    Returns
    -------
    tuple of MapChoice
    """
    if not len(result.rowcol):
        return ()
    return tuple(_choices(result, cohort_percentile))


def _choices(
    result: SlideResult, cohort_percentile: CohortPercentile | None
) -> Iterator[MapChoice]:
    yield _choice(ATTENTION_KEY, lambda: times_average(result), limits=_attention_span)
    yield _choice("attention-percentile", lambda: percentiles(result.attention), limits=_whole)
    if cohort_percentile is not None:
        yield _choice(
            "attention-cohort", lambda: cohort_percentile(times_average(result)), limits=_whole
        )
    if result.evidence is not None:
        for column, (task, name) in zip(result.evidence.T, result.evidence_of, strict=True):
            yield _evidence_choice(task, name, column)
    if result.n_codewords:
        yield _choice("distance", lambda: result.residual_norm)
    if result.freshness is not None:
        steps = result.freshness
        yield _choice("freshness", lambda: steps, limits=lambda seen: (0.0, max(1.0, _top(seen))))


def _evidence_choice(task: str, name: str, column: Values) -> MapChoice:
    # d log(odds) = d odds / odds: a hundred times it is the change of the odds in per cent.
    def values() -> Values:
        return column * np.float32(_PER_CENT)

    return _choice(f"evidence:{task}:{name}", values, evidence_words(task, name), "diverging")


def _choice(
    key: str,
    values: Callable[[], NDArray[Any]],
    words: MapWords | None = None,
    kind: MapKind = "sequential",
    limits: Callable[[Values], Limits] | None = None,
) -> MapChoice:
    words = words or WORDS[key]

    def make() -> TileMap:
        column = np.asarray(values(), np.float32)
        return TileMap.of(
            key, words, column, kind, None if limits is None else limits(_numbers(column))
        )

    return MapChoice(key, words.title, words.unit, words.explanation, make)


def percentiles(values: NDArray[np.floating[Any]]) -> Values:
    """Return where each value stands among all, as 0-100; equal values stand equally high.

    Parameters
    ----------
    values : ndarray
        (n,) numbers.

    Returns
    -------
    ndarray
        (n,) float32: share of the values that are lower plus half of those that are equal, x 100.
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2
    return np.asarray(middle[place] * (_PER_CENT / max(1, len(values))), np.float32)


def times_average(result: SlideResult) -> Values:
    """Return the attention of each tile in times the slide's average, shape (n,)."""
    return (result.attention * len(result.attention)).astype(np.float32)


def _numbers(values: Values) -> Values:
    """Return the values that limits can be made of; a model that diverged gives others too."""
    is_number = np.isfinite(values)
    return values if is_number.all() else values[is_number]


def _attention_span(values: Values) -> Limits:
    top = float(np.percentile(values, _TOP_PERCENTILE)) if values.size else 0.0
    return 0.0, max(top, _LEAST_ATTENTION_TOP)


def _whole(values: Values) -> Limits:
    return 0.0, _PER_CENT


def _top(values: Values) -> float:
    return float(values.max(initial=0))


def _extremes(values: Values, kind: MapKind) -> Limits:
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if kind == "diverging":
        low, high = -max(-low, high), max(-low, high)
    return low, high


def _span(values: Values, kind: MapKind) -> Limits:
    """Return the span of all but the outermost 1 % of values, never empty."""
    if kind == "diverging":
        size = np.abs(values)
        top = float(np.percentile(size, _TOP_PERCENTILE)) if size.size else 0.0
        top = _round_up(top or _top(size) or 1.0)
        return -top, top
    if not values.size:
        return 0.0, 1.0
    ends = np.percentile(values, (_PER_CENT - _TOP_PERCENTILE, _TOP_PERCENTILE))
    low, high = float(ends[0]), float(ends[1])
    if high <= low:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _round_up(value: float) -> float:
    """Return the next number that a colour bar around 0 can be labelled with."""
    unit = 10.0 ** np.floor(np.log10(value))
    return float(next(step for step in _STEPS if step * unit >= value * (1 - 1e-6)) * unit)
