"""Joins the processes of a training, whoever starts them, and tells when one is lost.

Fabric joins them: under torchrun, under SLURM, started by hand on each machine, or started here.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
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

from napari_dre_slcl.atomic_file import write_text
from napari_dre_slcl.config import DreSlclConfig, TrainingConfig
from napari_dre_slcl.engine.children import Children
from napari_dre_slcl.engine.device import check_devices, choose_device, processors
from napari_dre_slcl.engine.meeting import Card, Meeting, what_is_wrong
from napari_dre_slcl.engine.placed_environment import PlacedEnvironment
from napari_dre_slcl.engine.placement import Place, find_place, placed, rank_given
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.engine.watch import Hub, Line
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import ConfigError, DreSlclError, JobError
from napari_dre_slcl.jobs.messages import ResumeJob, TrainJob

__all__ = ["ToldElsewhere", "is_first", "joined_world"]

_JOIN = timedelta(minutes=2)
_FOR_EVER = timedelta(days=7)
"""A run may hold still for days; whether a process is there is the business of `watch`."""
_FREE_AFTER_S, _LEAVE_AFTER_S = 2.0, 15.0
_LOOPBACK = {"linux": "lo", "darwin": "lo0"}


class ToldElsewhere(JobError):
    """What went wrong in this process has been told to the first one, which tells the user."""


def is_first() -> bool:
    """Return whether this process is or will be the first one, before it has joined the others."""
    return rank_given() == 0


@contextmanager
def joined_world(
    job: TrainJob | ResumeJob, config: DreSlclConfig, reporter: Reporter
) -> Iterator[World]:
    """Have all processes of a training for the length of a block, which all of them run.

    Parameters
    ----------
    job : TrainJob or ResumeJob
        What the others run, where this process starts them.
    config : DreSlclConfig
        Settings; ``training.devices`` and ``training.nodes`` say how many processes, unless
        torchrun or SLURM has started them.
    reporter : Reporter
        Raises `JobError` at its next progress once a process is lost.

    Yields
    ------
    World
        Of one process where there is one.

    Raises
    ------
    ConfigError, JobError
        If the processes cannot be joined, or one is lost within the block.
    ToldElsewhere
        In place of any error, in all processes but the first.
    """
    config = placed(job, config)
    place = find_place(config.training)
    if place.size == 1:
        yield World(device=choose_device(config.training.device))
        return
    if config.method != "dre-slcl":
        raise ConfigError(
            f"The method '{config.method}' trains in one process, and {place.size} were asked for. "
            "Set training.devices and training.nodes to 1, or train dre-slcl."
        )
    with _as_before(), ExitStack() as closing:
        environment = _environment(place)
        meet = closing.enter_context(_met(job, place, config.training, environment))
        if isinstance(meet, Hub):
            closing.enter_context(_watched(meet, reporter))
        else:
            closing.enter_context(_obedient(meet))
        group = _join(place, environment, config.training)
        yield World(place.rank, place.size, group[0], group[1], meet)


@contextmanager
def _met(
    job: TrainJob | ResumeJob,
    place: Place,
    settings: TrainingConfig,
    environment: ClusterEnvironment,
) -> Iterator[Hub | Line]:
    """Let all processes meet, and end those started here at the end of the block."""
    address, port = environment.main_address, environment.main_port
    threads = _share_threads(place, settings)
    meeting = Meeting(place, address, port) if place.rank == 0 else None
    if meeting is not None and isinstance(environment, PlacedEnvironment):
        environment.main_port = port = meeting.port
    folder = Path(tempfile.mkdtemp(prefix="dre-slcl-"))
    children, is_well = None, False
    try:
        if place.spawns:
            write_text(folder / "job.json", job.model_dump_json())
            children = Children(place, folder / "job.json", address, port, threads)
        if meeting is None:
            yield _introduced(Meeting(place, address, port), place, settings, (address, job))
        else:
            yield _presided(meeting, place, settings, job.run_dir, children)
        is_well = True
    except Stopped:
        is_well = True
        raise
    finally:
        if children is not None:
            children.end(is_well=is_well)
        shutil.rmtree(folder, ignore_errors=True)


def _presided(
    meeting: Meeting,
    place: Place,
    settings: TrainingConfig,
    run_dir: Path,
    children: Children | None,
) -> Hub:
    """Wait for all, and judge them: what the first process does."""
    meeting.say(Card(platform.node(), problem=_own_problem(place, settings)))
    try:
        cards = meeting.cards(children.ended if children is not None else str)
        problem = what_is_wrong(cards)
    except JobError as error:
        problem = str(error)
    if problem:
        meeting.judge({"problem": problem})
        raise JobError(problem)
    names = {
        rank: f"Process {rank + 1} of {place.size} (on {card.host})"
        for rank, card in enumerate(cards)
        if rank
    }
    hub = Hub(names, _how_to_go_on(run_dir), is_local=place.nodes == 1)
    hub.start({} if children is None else children.processes)
    meeting.judge({"problem": "", "port": hub.port, "token": hub.token, "host": cards[0].host})
    try:
        hub.wait_for_all()
    except JobError:
        hub.close(is_well=False)
        raise
    return hub


def _introduced(
    meeting: Meeting, place: Place, settings: TrainingConfig, known: tuple[str, Any]
) -> Line:
    """Show a card and get a line to the first process: what all others do."""
    meeting.say(Card(platform.node(), problem=_own_problem(place, settings)))
    verdict = meeting.verdict()
    if verdict["problem"]:
        raise ToldElsewhere(verdict["problem"])
    address, job = known
    last_words = ""
    if place.rank == 1:  # one speaks for all
        last_words = (
            f"Process 1 of {place.size} (on {verdict['host']}) has ended, so training stopped. "
            f"{_how_to_go_on(job.run_dir)}"
        )
    try:
        return Line((address, verdict["port"]), verdict["token"], place.rank, last_words)
    except OSError as error:
        raise JobError(
            f"Process {place.rank + 1} of {place.size} cannot reach the first one at "
            f"{address}:{verdict['port']}: {error}. Let the machines of a training reach each "
            "other at all ports."
        ) from error


@contextmanager
def _watched(hub: Hub, reporter: Reporter) -> Iterator[None]:
    """Turn what happens when a process is lost into one sentence, in the first process."""
    hub.when_lost(_FREE_AFTER_S, _free_collectives)
    hub.when_lost(_LEAVE_AFTER_S, lambda sentence: _give_up(reporter, sentence))
    is_well = False
    try:
        yield
        is_well = True
    except Stopped:
        is_well = True
        raise
    except (DreSlclError, RuntimeError) as error:
        lost = hub.lost(within_s=5.0 if _is_broken_line(error) else 0.0)
        if lost:
            raise JobError(lost) from error
        raise
    finally:
        hub.close(is_well=is_well)
        _leave_group(is_well=is_well)


@contextmanager
def _obedient(line: Line) -> Iterator[None]:
    """Tell the first process how the block has ended; it decides how all end."""
    try:
        yield
    except Stopped:
        line.end()
        raise
    except BaseException as error:
        if _is_broken_line(error):
            line.wait_for_verdict(10.0)  # whoever has brought this about is known there
        line.fail(_sentence(error))
        raise ToldElsewhere(str(error)) from error
    line.end()
    _leave_group(is_well=True)


def _join(
    place: Place, environment: ClusterEnvironment, settings: TrainingConfig
) -> tuple[torch.device, Any]:
    """Join the process groups through Fabric; return the device and the group for messages."""
    device = choose_device(settings.device)
    devices = [torch.device("cpu")] * place.local_size
    if device.type == "cuda":
        seen = torch.cuda.device_count()  # one, where SLURM shows each process its own
        devices = [torch.device("cuda", i % seen) for i in range(place.local_size)]
        # A lost process shows as an error of the call that waits for it, not as the end of all.
        os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2")
    backend = "nccl" if device.type == "cuda" else "gloo"
    if place.nodes == 1 and sys.platform in _LOOPBACK:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _LOOPBACK[sys.platform])
    try:
        fabric = Fabric(
            accelerator=device.type,
            strategy=DDPStrategy(
                parallel_devices=devices,
                cluster_environment=environment,
                process_group_backend=backend,
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


def _environment(place: Place) -> ClusterEnvironment:
    if place.by == "torchrun":
        return TorchElasticEnvironment()
    if place.by == "slurm":
        return SLURMEnvironment(auto_requeue=False)
    return PlacedEnvironment(place)


def _own_problem(place: Place, settings: TrainingConfig) -> str:
    """Return why this process cannot take part; empty where it can."""
    try:
        check_devices(settings, is_one_shown=place.by == "slurm")
    except ConfigError as error:
        return str(error)
    return ""


def _share_threads(place: Place, settings: TrainingConfig) -> int:
    """Share the processors out among the processes of this machine; return this one's threads."""
    threads = torch.get_num_threads()
    if choose_device(settings.device).type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        threads = max(1, min(threads, processors() // place.local_size))
        torch.set_num_threads(threads)
    elif place.spawns and choose_device(settings.device).type == "cpu":
        threads = max(1, threads // place.local_size)
        torch.set_num_threads(threads)
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # else Fabric has its own idea
    return threads


@contextmanager
def _as_before() -> Iterator[None]:
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
        os.environ.clear()
        os.environ.update(environ)
        torch.set_num_threads(threads)


def _leave_group(*, is_well: bool) -> None:
    if not dist.is_initialized():
        return
    if is_well or dist.get_backend() != "nccl":
        dist.destroy_process_group()
    else:  # to say farewell to processes that are gone takes NCCL for ever
        distributed_c10d._abort_process_group()


def _free_collectives(_sentence: str) -> None:
    """Free a thread that waits for a lost process; Gloo does so by itself."""
    if dist.is_initialized() and dist.get_backend() == "nccl":
        distributed_c10d._abort_process_group()


def _give_up(reporter: Reporter, sentence: str) -> None:
    """End this process, since what it waits for does not end."""
    reporter.last_word(sentence)
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
    os._exit(1)


def _is_broken_line(error: BaseException) -> bool:
    """Whether an error may come of a process that is gone."""
    return isinstance(error, RuntimeError) or isinstance(error.__cause__, RuntimeError)


def _sentence(error: BaseException) -> str:
    if isinstance(error, DreSlclError):
        return str(error)
    return f"It stopped on an unexpected {type(error).__name__}: {str(error).split(chr(10))[0]}"


def _how_to_go_on(run_dir: Path) -> str:
    return f"Go on from the last checkpoint with 'dre-slcl resume {run_dir}'."
