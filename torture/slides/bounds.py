"""What reading a spoiled slide may take."""

__all__ = ["HANG_S", "MEMORY_BYTES", "SLOW_S"]

SLOW_S = 10.0
"""For one step, such as opening a slide or reading a tile; most take milliseconds."""
HANG_S = 60
"""After this the process is ended, with the place where it hangs."""
MEMORY_BYTES = 2**30
"""On top of what the process has."""
