"""What reading a spoiled slide may take."""

__all__ = ["HANG_S", "MEMORY_BYTES", "MOST_SEARCHED_PX", "MOST_TIMES_PLAIN", "SLOW_S"]

SLOW_S = 10.0
"""Processor time of one step, such as opening a slide or reading a tile; most take milliseconds."""
HANG_S = 120
"""Clock. After this the process is ended, with the place where it hangs."""
MEMORY_BYTES = 2**30
"""On top of what the process has."""
MOST_SEARCHED_PX = 2**28
"""Tissue is searched for in the coarsest level that is fine enough. Of one that claims more pixels
all must be read, which takes time in proportion, as it does of a sound slide of that size."""
MOST_TIMES_PLAIN = 2.0
"""A search for tissue that takes longer than `SLOW_S` may take this many times what OpenSlide alone
takes for the same pixels right after it. Nothing else may."""
