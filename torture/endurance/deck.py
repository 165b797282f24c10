"""What a pathologist does in a day at the window, as a sequence of actions.

One each five seconds makes 720 an hour, 5,760 in eight hours.
"""

from __future__ import annotations

import random

__all__ = ["HOURS", "NEEDS_MODEL", "PER_HOUR", "deal"]

HOURS = 8
PER_HOUR = {
    "zoom": 145,
    "pan": 130,
    "hover": 120,
    "select": 70,
    "layers": 50,
    "map": 50,
    "tab": 29,
    "section": 20,
    "codeword": 20,
    "open": 18,
    "filter": 15,
    "classes": 10,
    "result": 8,
    "visit": 8,
    "table": 6,
    "wrong": 5,
    "predict": 4,
    "tissue": 4,
    "export": 3,
    "what_if": 2,
    "train": 1,
    "redock": 1,
    "window": 1,
}
NEEDS_MODEL = ("predict", "what_if", "train", "visit")


def deal(share: float, draw: random.Random) -> list[str]:
    """Return the actions of a share of a day, each kind spread evenly over it.

    Parameters
    ----------
    share : float
        1 for eight hours.
    draw : random.Random
        Draws their order.
    """
    places: list[tuple[float, str]] = []
    for name, per_hour in PER_HOUR.items():
        count = round(per_hour * HOURS * share)
        places += [((turn + draw.random()) / count, name) for turn in range(count)]
    return [name for _, name in sorted(places)]
