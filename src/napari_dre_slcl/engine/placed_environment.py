"""Tells Fabric of processes that were started by hand or by another process of the training."""

from __future__ import annotations

import os

from lightning_fabric.plugins.environments import ClusterEnvironment

from napari_dre_slcl.engine.placement import Place

__all__ = ["PlacedEnvironment"]


class PlacedEnvironment(ClusterEnvironment):  # type: ignore[misc, unused-ignore]
    """As `ClusterEnvironment` says; all numbers are known, and Fabric starts nothing.

    Parameters
    ----------
    place : Place
        Of this process.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        is_local = place.spawns and place.nodes == 1
        self._address = "127.0.0.1" if is_local else os.environ["MASTER_ADDR"]
        self._port = 0 if is_local else int(os.environ["MASTER_PORT"])

    @property
    def creates_processes_externally(self) -> bool:
        """Whether Fabric has nothing to start."""
        return True

    @property
    def main_address(self) -> str:
        """Address of the first process."""
        return self._address

    @property
    def main_port(self) -> int:
        """Port where all meet; 0 until the first process has chosen one."""
        return self._port

    @main_port.setter
    def main_port(self, port: int) -> None:
        self._port = port

    @staticmethod
    def detect() -> bool:
        """Whether variables show it; never, it is made on purpose."""
        return False

    def world_size(self) -> int:
        """Return the number of processes."""
        return self._place.size

    def set_world_size(self, size: int) -> None:
        """Do nothing: the number is known."""

    def global_rank(self) -> int:
        """Return the number of this process."""
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        """Do nothing: the number is known."""

    def local_rank(self) -> int:
        """Return the number of this process on its machine."""
        return self._place.local_rank

    def node_rank(self) -> int:
        """Return the number of its machine."""
        return self._place.rank // self._place.local_size
