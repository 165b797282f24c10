"""How much is tried, from which seed, and where."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a part needs to know.

    Parameters
    ----------
    seed : int
        The same seed tries the same.
    share : float
        1 for the whole suite of an hour, 0.01 for the short form of the tests.
    folder : Path
        An empty folder of the part's own.
    say : callable
        Told in a line what goes on.
    """

    seed: int
    share: float
    folder: Path
    say: Callable[[str], None]

    def count(self, whole: int) -> int:
        """Return how often to try what the whole suite tries so often; once at least."""
        return max(1, round(whole * self.share))

    def random(self, name: str) -> random.Random:
        """Return chance of its own for a name, so that each part can be repeated alone."""
        return random.Random(f"{self.seed} {name}")
