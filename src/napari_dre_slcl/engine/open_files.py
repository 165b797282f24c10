"""Room for many open slides: each training slide stays open, and keeps a file open."""

from __future__ import annotations

import sys

__all__ = ["allow_many_open_files"]

_ENOUGH = 65_536


def allow_many_open_files() -> int | None:
    """Raise this process's own limit of open files as far as the system lets it.

    Returns
    -------
    int or None
        The limit now; None where there is none to set, as on Windows.
    """
    if sys.platform == "win32":
        return None
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft
