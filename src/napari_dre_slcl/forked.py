"""Open files and caches that must start afresh in a forked child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol

__all__ = ["restart_after_fork"]


class _Restartable(Protocol):
    def restart_in_child(self) -> None: ...


_registered: weakref.WeakSet[_Restartable] = weakref.WeakSet()


def restart_after_fork(thing: _Restartable) -> None:
    """Call `thing.restart_in_child()` in every child forked while `thing` lives.

    A thread of the parent may hold any lock at the moment of the fork, and that thread does not
    exist in the child: locks must be made anew there.
    """
    _registered.add(thing)


def _restart_all() -> None:
    for thing in list(_registered):
        thing.restart_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
