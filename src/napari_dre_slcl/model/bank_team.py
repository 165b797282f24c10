"""Team: what a part of the memory bank must know of the processes that hold the others."""

from __future__ import annotations

from typing import Protocol

__all__ = ["ALONE", "Team"]


class Team(Protocol):
    """Processes that share the files of one bank, each with its own slides.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        Number of processes.
    """

    rank: int
    size: int

    def wait(self, problem: str = "") -> None:
        """Wait until all have come so far.

        Parameters
        ----------
        problem : str
            What went wrong here; empty where nothing did.

        Raises
        ------
        JobError
            In every process, if one of them tells of a problem.
        """


class _Alone:
    rank = 0
    size = 1

    def wait(self, problem: str = "") -> None:
        del problem  # whoever is alone raises its own error


ALONE: Team = _Alone()
"""The one process of a training on one device."""
