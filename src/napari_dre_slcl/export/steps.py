"""How an export tells how far it is, and how it is broken off."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["ExportStopped", "OnStep", "no_step"]

OnStep = Callable[[int, int], None]
"""Called with (done, total) between pieces of work; what it raises ends the export."""


class ExportStopped(Exception):
    """Raised by a callback that ends an export because the user asked for it."""


def no_step(done: int, total: int) -> None:
    """Tell nobody."""
