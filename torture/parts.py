"""The parts of the suite by name; each is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from torture.plan import Plan
from torture.row import Row

__all__ = ["NAMES", "PIECES", "run_part"]

NAMES = ("disk", "kills", "slides", "strangers", "private", "endurance")
PIECES = ("endurance.crowd", "endurance.shared_run", "endurance.day")
"""Of parts that take long, which can be run alone."""


def run_part(name: str, plan: Plan) -> Iterator[Row]:
    """Run one part or piece: the function ``run`` of the module of its name."""
    part = importlib.import_module(f"torture.{name}")
    yield from part.run(plan)
