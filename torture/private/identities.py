"""Made-up identifiers, each known by the place where it was sown."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["Identities", "Seed"]

_LETTERS = "bcdfghjklmnpqrstvwz"
_LENGTH = 9


@dataclass(frozen=True, slots=True)
class Seed:
    """One identifier.

    Parameters
    ----------
    kind : str
        ``header``, ``report``, ``patient``, ``column``, ``slide``, ``file``, ``folder`` or
        ``table``.
    place : str
        Where it was sown, for the reader of the table.
    text : str
        Occurs nowhere else in the world.
    """

    kind: str
    place: str
    text: str


@dataclass(slots=True)
class Identities:
    """Makes identifiers, and knows all that it has made.

    Parameters
    ----------
    random : random.Random
        The same gives the same.
    """

    random: random.Random
    seeds: list[Seed] = field(default_factory=list)

    def word(self, kind: str, place: str) -> str:
        """Return a word that stands for a name or a number of a case."""
        text = "Zq" + "".join(self.random.choice(_LETTERS) for _ in range(_LENGTH))
        return self._sown(kind, place, text)

    def date(self, kind: str, place: str) -> str:
        """Return a date, as eight digits, on which nobody was born who is alive."""
        day = (self.random.randint(1801, 1849), self.random.randint(1, 12))
        return self._sown(kind, place, f"{day[0]}{day[1]:02}{self.random.randint(10, 28)}")

    def of(self, *kinds: str) -> tuple[Seed, ...]:
        """Return the identifiers of some kinds."""
        return tuple(seed for seed in self.seeds if seed.kind in kinds)

    def _sown(self, kind: str, place: str, text: str) -> str:
        self.seeds.append(Seed(kind, place, text))
        return text
