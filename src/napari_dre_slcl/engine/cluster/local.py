"""Workers on this machine, each a process of its own; one that ends is started again."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import psutil
import torch
from distributed import Nanny, Scheduler, SpecCluster

from napari_dre_slcl.engine.device import processors
from napari_dre_slcl.errors import JobError

__all__ = ["local_cluster"]

_HOST = "127.0.0.1"
_GIVEN_UP = "distributed.deploy.lost-worker-timeout"
_PROFILER = "distributed.worker.profile.enabled"
_RESTART_S = "30 s"
"""A worker that has not come back by then is started anew; its nanny may have ended with it."""

_DEATHS = 3
"""A slide whose workers ended so often is given up: it is the likely cause."""


@contextmanager
def local_cluster(n_workers: int, device: str) -> Iterator[SpecCluster]:
    """Start a scheduler and workers that only this machine can reach, for the length of a block.

    Parameters
    ----------
    n_workers : int
        Processes. They share processors and memory out evenly, and take the GPUs in turn.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    JobError
        If they cannot be started.
    """
    try:
        with (
            # The profiler may hang its process: https://github.com/python/cpython/issues/106883
            dask.config.set({_GIVEN_UP: _RESTART_S, _PROFILER: False}),
            SpecCluster(
                scheduler={"cls": Scheduler, "options": _scheduler()},
                workers={
                    number: {"cls": Nanny, "options": _worker(number, n_workers, device)}
                    for number in range(n_workers)
                },
                silence_logs=logging.CRITICAL,
            ) as cluster,
        ):
            yield cluster
    except (OSError, RuntimeError, TimeoutError) as error:
        raise JobError(
            f"The {n_workers} workers cannot be started: {str(error).rstrip('.')}."
        ) from error


def _scheduler() -> dict[str, Any]:
    return {
        "host": _HOST,
        "port": 0,
        "dashboard": True,
        "dashboard_address": f"{_HOST}:0",
        "allowed_failures": _DEATHS - 1,
    }


def _worker(number: int, n_workers: int, device: str) -> dict[str, Any]:
    from napari_dre_slcl.engine.cluster.on_worker import THREADS

    threads = max(1, processors() // n_workers)
    environment = {THREADS: str(threads), "OMP_NUM_THREADS": str(threads)}
    gpus = _gpus() if device in ("auto", "cuda") else []
    if gpus:
        environment["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return {
        "host": _HOST,
        "nthreads": 1,
        "memory_limit": psutil.virtual_memory().total // n_workers,
        "env": environment,
        "preload": ["napari_dre_slcl.engine.cluster.ignore_interrupt"],
        "silence_logs": logging.CRITICAL,
    }


def _gpus() -> list[str]:
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name for name in named.split(",") if name.strip()]
    return [str(number) for number in range(torch.cuda.device_count())]
