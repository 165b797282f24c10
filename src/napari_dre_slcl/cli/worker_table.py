"""The table of workers that stands above the bars while slides are handed out."""

from __future__ import annotations

from rich.table import Table

from napari_dre_slcl.jobs.messages import Workers

__all__ = ["worker_table"]

_SHOWN_ROWS = 16
_SHOWN_SLIDES = 2


def worker_table(workers: Workers) -> Table:
    """Return what the workers do; of many, those that have most to do."""
    title = (
        f"{workers.done:,} done, {workers.running:,} running, {workers.waiting:,} waiting, "
        f"{workers.failed:,} left out; {workers.tiles_per_s:,.1f} tiles/s"
    )
    table = Table("Worker", "Host", "Slide", "Done", "Memory", title=title, title_justify="left")
    rows = sorted(workers.rows, key=lambda row: not row.doing)[:_SHOWN_ROWS]
    for row in rows:
        doing = ", ".join(row.doing[:_SHOWN_SLIDES]) or "-"
        table.add_row(row.name, row.host, doing, f"{row.done:,}", f"{row.memory_mib:,} MiB")
    rest = len(workers.rows) - len(rows)
    if rest:
        table.add_row(f"{rest:,} more", "", "", "", "")
    return table
