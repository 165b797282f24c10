"""Tasks that this program waits for and the scheduler no longer has at any worker."""

from __future__ import annotations

import time
from collections.abc import Iterable

from distributed import Client, Future

from napari_dre_slcl.engine.cluster.connect import bounded

__all__ = ["LostTasks"]

_EVERY_S = 15.0


class LostTasks:
    """Compares now and then what is waited for with what the scheduler has given to workers.

    A message on the way between the two may be lost; without this it would be waited for, for ever.

    Parameters
    ----------
    client : Client
        Of the cluster.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked_at = time.monotonic()
        self._suspects: set[Future] = set()

    def find(self, running: Iterable[Future]) -> list[Future]:
        """Return those that have been with no worker at two looks in a row, if it is time to look.

        Raises
        ------
        JobError
            If the scheduler does not answer.
        """
        now = time.monotonic()
        if now - self._looked_at < _EVERY_S:
            return []
        self._looked_at = now
        at_workers = bounded(self._client.processing, "The Dask scheduler")
        known = {key for keys in at_workers.values() for key in keys}
        absent = {one for one in running if one.status == "pending" and one.key not in known}
        lost = [one for one in absent if one in self._suspects]
        self._suspects = absent.difference(lost)
        return lost
