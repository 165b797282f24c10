"""Main memory and processors."""

from __future__ import annotations

import os

from napari_dre_slcl.doctor.finding import Finding, ok, warning

__all__ = ["check_machine"]

_LEAST_GIB = 4.0


def check_machine() -> list[Finding]:
    """Look at the free memory, also where a container or a scheduler limits it."""
    from napari_dre_slcl.engine.memory import available_memory

    processors = f"{os.cpu_count() or 1} processors"
    free = available_memory()
    if free is None:
        return [ok("Machine", processors)]
    says = f"{processors}, {free / 2**30:.1f} GiB of memory free"
    if free < _LEAST_GIB * 2**30:
        mend = "End other programs, or ask the scheduler for more: training needs 4 GiB and up."
        return [warning("Machine", says, mend)]
    return [ok("Machine", says)]
