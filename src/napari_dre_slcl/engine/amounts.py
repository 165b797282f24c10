"""Bytes and seconds as people say them."""

from __future__ import annotations

__all__ = ["bytes_text", "duration_text"]

_STEPS = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"))


def bytes_text(n_bytes: float) -> str:
    """Return an amount of memory such as ``3.2 GiB``; less than a MiB is ``under 1 MiB``."""
    for size, unit in _STEPS:
        if n_bytes >= size:
            amount = n_bytes / size
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:,.0f} {unit}"
    return "under 1 MiB"


def duration_text(seconds: float) -> str:
    """Return a duration such as ``45 s``, ``12 min``, ``3 h 20 min`` or ``2 d 5 h``."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
