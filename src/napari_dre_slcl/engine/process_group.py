"""The process groups of torch that the processes of a training join, through Fabric."""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy
from torch.distributed import distributed_c10d

from napari_dre_slcl.config import TrainingConfig
from napari_dre_slcl.engine.device import choose_device, processors
from napari_dre_slcl.engine.placed_environment import PlacedEnvironment
from napari_dre_slcl.engine.placement import Place
from napari_dre_slcl.errors import JobError

__all__ = [
    "LOCAL",
    "as_before",
    "environment_of",
    "free_collectives",
    "join_groups",
    "leave_groups",
    "share_threads",
]

LOCAL = "127.0.0.1"
_JOIN = timedelta(minutes=2)
_FOR_EVER = timedelta(days=7)
"""A run may hold still for days; whether a process is there is the business of `watch`."""
_LOOPBACK = {"linux": "lo", "darwin": "lo0"}


def environment_of(place: Place) -> ClusterEnvironment:
    """Return Fabric's idea of what started this process."""
    if place.by == "torchrun":
        return TorchElasticEnvironment()
    for name in [name for name in os.environ if name.startswith("TORCHELASTIC_")]:
        del os.environ[name]  # left over: torch would look for a store of torchrun's
    if place.by == "slurm":
        if place.nodes == 1:
            os.environ.setdefault("MASTER_ADDR", LOCAL)
        return SLURMEnvironment(auto_requeue=False)
    return PlacedEnvironment(place)


def join_groups(
    place: Place, environment: ClusterEnvironment, settings: TrainingConfig
) -> tuple[torch.device, Any]:
    """Join the group of tensors, of NCCL or Gloo, and one of Gloo for messages.

    Parameters
    ----------
    place : Place
        Of this process.
    environment : ClusterEnvironment
        Of `environment_of`.
    settings : TrainingConfig
        Its ``device``.

    Returns
    -------
    tuple of torch.device and ProcessGroup
        This process's device, and the group for messages.

    Raises
    ------
    JobError
        If the processes cannot reach each other.
    """
    kind = choose_device(settings.device).type
    if place.nodes == 1 and sys.platform in _LOOPBACK:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOOPBACK[sys.platform])
    # A lost process shows as an error of the call that waits for it, not as the end of all.
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2")
    try:
        fabric = Fabric(
            accelerator=kind,
            strategy=DDPStrategy(
                parallel_devices=_devices(kind, place.local_size),
                cluster_environment=environment,
                process_group_backend="nccl" if kind == "cuda" else "gloo",
                timeout=_JOIN,
            ),
            devices=place.local_size,
            num_nodes=place.nodes,
        )
        fabric.launch()
        # Messages wait for as long as a user pauses, apart from what tensors wait for.
        control = dist.new_group(backend="gloo", timeout=_JOIN)
        for group in (dist.group.WORLD, control):
            distributed_c10d._set_pg_timeout(_FOR_EVER, group)
    except (RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise JobError(
            f"Process {place.rank + 1} of {place.size} (on {platform.node()}) cannot be joined "
            f"with the others: {reason}. Let the machines of a training reach each other at all "
            "ports; GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name the network to use."
        ) from error
    return fabric.device, control


def leave_groups(*, is_well: bool) -> None:
    """Leave the groups, if this process is in any.

    Parameters
    ----------
    is_well : bool
        The others are there to say farewell to.
    """
    if not dist.is_initialized():
        return
    if is_well or dist.get_backend() != "nccl":
        dist.destroy_process_group()
    else:  # to say farewell to processes that are gone takes NCCL for ever
        free_collectives()


def free_collectives() -> None:
    """Free a thread that waits for a lost process in NCCL; Gloo does so by itself."""
    if dist.is_initialized() and dist.get_backend() == "nccl":
        distributed_c10d._abort_process_group()


def share_threads(place: Place, settings: TrainingConfig) -> int:
    """Share the processors out among the processes of this machine; return this one's threads."""
    threads = torch.get_num_threads()
    if choose_device(settings.device).type == "cpu" and (
        place.spawns or "OMP_NUM_THREADS" not in os.environ
    ):
        threads = max(1, min(threads, processors()) // place.local_size)
        torch.set_num_threads(threads)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # else Fabric has its own idea
    return threads


@contextmanager
def as_before() -> Iterator[None]:
    """Leave variables, threads and logging of this process as they were; it may run more jobs."""
    environ, threads = dict(os.environ), torch.get_num_threads()
    loggers = [logging.getLogger(name) for name in ("lightning_fabric", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name in os.environ.keys() - environ.keys():
            del os.environ[name]
        os.environ.update(environ)
        torch.set_num_threads(threads)


def _devices(kind: str, count: int) -> list[torch.device]:
    if kind != "cuda":
        return [torch.device("cpu")] * count
    seen = torch.cuda.device_count()  # one, where SLURM shows each process its own
    return [torch.device("cuda", number % seen) for number in range(count)]
