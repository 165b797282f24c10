"""Much at once and for long: a thousand slides, one folder for several, a day in the window."""

from __future__ import annotations

from collections.abc import Iterator

from torture.endurance import crowd, day, shared_run
from torture.plan import Plan
from torture.row import Row

__all__ = ["run"]


def run(plan: Plan) -> Iterator[Row]:
    """Run what takes long, one after the other."""
    yield from crowd.run(plan)
    yield from shared_run.run(plan)
    yield from day.run(plan)
