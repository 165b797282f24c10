"""A typed cell of Excel or Parquet as the text that a CSV file would hold."""

from __future__ import annotations

from datetime import date, datetime, time

__all__ = ["cell_text"]


def cell_text(value: object) -> str:
    """Return a cell's text: dates as 2024-01-31, whole numbers without a fraction.

    Parameters
    ----------
    value : object
        Text, number, truth value, date or bytes.
    """
    if isinstance(value, datetime):
        is_whole_day = value.time() == time()
        return value.date().isoformat() if is_whole_day else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
