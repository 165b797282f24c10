"""What the workers of a cluster do, told every other second."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from distributed import Client

from napari_dre_slcl.engine.cluster.connect import bounded
from napari_dre_slcl.engine.many_slides import Tally
from napari_dre_slcl.engine.reporter import OnEvent
from napari_dre_slcl.jobs.messages import WorkerRow, Workers

__all__ = ["ClusterView"]

_EVERY_S = 2.0


class ClusterView:
    """Tell which worker has which slide.

    Parameters
    ----------
    client : Client
        Of the cluster.
    on_event : callable
        Gets a `Workers` event now and then.
    """

    def __init__(self, client: Client, on_event: OnEvent) -> None:
        self._client = client
        self._on_event = on_event
        self._names: dict[str, str] = {}
        self._done: Counter[str] = Counter()
        self._began = time.monotonic()
        self._told = 0.0
        self._tiles = 0

    def begin(self, key: str, slide_id: str) -> None:
        """Note that a task was handed out."""
        self._names[key] = slide_id

    def end(self, key: str, worker: str, n_tiles: int) -> None:
        """Note that a task has come back."""
        self._names.pop(key, None)
        self._done[worker] += 1
        self._tiles += n_tiles

    def tell(self, tally: Tally, total: int, running: int) -> None:
        """Tell, unless it was told a moment ago."""
        now = time.monotonic()
        if now - self._told < _EVERY_S:
            return
        self._told = now
        self._on_event(
            Workers(
                rows=self._rows(),
                done=len(tally.done) + len(tally.kept),
                running=running,
                waiting=max(0, total - len(tally) - running),
                failed=len(tally.broken),
                tiles_per_s=self._tiles / max(1e-9, now - self._began),
            )
        )

    def _rows(self) -> tuple[WorkerRow, ...]:
        facts = bounded(lambda: self._client.scheduler_info(n_workers=-1), "The Dask scheduler")
        doing: dict[str, list[str]] = defaultdict(list)
        for worker, keys in bounded(self._client.processing, "The Dask scheduler").items():
            doing[worker] += [self._names[key] for key in keys if key in self._names]
        rows = [
            WorkerRow(
                name=str(about.get("name", address)),
                host=str(about.get("host", "")),
                doing=tuple(doing[address]),
                memory_mib=int(about.get("metrics", {}).get("memory", 0)) // 2**20,
                done=self._done[address],
            )
            for address, about in facts["workers"].items()
        ]
        return tuple(sorted(rows, key=lambda row: row.name))
