"""Which of a training's processes this one is: read from settings and from what started it.

Knows no torch, so that a command may ask before anything is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from napari_dre_slcl.config import DreSlclConfig, TrainingConfig, with_overrides
from napari_dre_slcl.errors import ConfigError
from napari_dre_slcl.jobs.messages import ResumeJob, TrainJob

__all__ = ["SPAWNED", "Place", "find_place", "given_place", "placed", "rank_given"]

SPAWNED = "DRE_SLCL_SPAWNED"
"""Variable that tells a process that another one of its training has started it."""

_INTERACTIVE = ("bash", "interactive")  # names that SLURM gives to shells, as Fabric knows them


@dataclass(frozen=True, slots=True)
class Place:
    """A process among all of a training.

    Parameters
    ----------
    rank, size : int
        Its number, from 0, and how many there are.
    local_rank, local_size : int
        The same on its machine.
    nodes : int
        Machines.
    by : str
        Who started it: ``parent`` is another process of the training, ``hand`` a user, who has it
        start the others of its machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    nodes: int = 1
    by: Literal["hand", "parent", "torchrun", "slurm"] = "hand"

    @property
    def is_given(self) -> bool:
        """Whether the numbers come from what started this process, not from settings."""
        return self.by != "hand"

    @property
    def spawns(self) -> bool:
        """Whether this process must start others of its machine."""
        return self.by == "hand" and self.local_size > 1


def find_place(settings: TrainingConfig, environ: Mapping[str, str] = os.environ) -> Place:
    """Return which process this one is.

    Parameters
    ----------
    settings : TrainingConfig
        ``devices`` and ``nodes`` count where neither torchrun nor SLURM has started this process.
    environ : mapping, optional
        Variables of the process.

    Raises
    ------
    ConfigError
        If variables are missing or contradict each other.
    """
    given = given_place(environ)
    if given is not None:
        return given
    if settings.nodes == 1:
        return Place(size=settings.devices, local_size=settings.devices)
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if name not in environ]
    if missing:
        raise ConfigError(
            f"{settings.nodes} machines were asked for (training.nodes, --nodes), and this process "
            f"does not know the others: {', '.join(missing)} not set. Start it with torchrun or "
            "srun, or set on each machine MASTER_ADDR and MASTER_PORT to an address and a free "
            "port of the first one, and NODE_RANK to its number, from 0."
        )
    node, _port = _number(environ, "NODE_RANK"), _number(environ, "MASTER_PORT")
    if node >= settings.nodes:
        raise ConfigError(
            f"NODE_RANK is {node}, and there are {settings.nodes} machines (--nodes). Number them "
            f"from 0 to {settings.nodes - 1}."
        )
    size, devices = settings.nodes * settings.devices, settings.devices
    return Place(node * devices, size, 0, devices, settings.nodes)


def placed(job: TrainJob | ResumeJob, config: DreSlclConfig) -> DreSlclConfig:
    """Return settings with the numbers of processes and machines that there are.

    Parameters
    ----------
    job : TrainJob or ResumeJob
        A resumed run may have another number than before, so only what its job asks for counts.
    config : DreSlclConfig
        Settings.

    Raises
    ------
    ConfigError
        If what was asked for is not what torchrun or SLURM has started.
    """
    place, settings = find_place(config.training), config.training
    if not place.is_given:
        return config
    asked = _asked(job, settings, place)
    if asked != (place.local_size, place.nodes) and place.by != "parent":
        starter = {"torchrun": "torchrun", "slurm": "srun"}[place.by]
        raise ConfigError(
            f"{starter} has started {place.local_size} processes on each of {place.nodes} "
            f"machines, but --devices {asked[0]} --nodes {asked[1]} were asked for. Leave these "
            "away, or give the same numbers."
        )
    return with_overrides(
        config, {"training.devices": place.local_size, "training.nodes": place.nodes}
    )


def _asked(job: TrainJob | ResumeJob, settings: TrainingConfig, place: Place) -> tuple[int, int]:
    """Return the processes per machine and the machines that a user wants; what there is else."""
    if isinstance(job, ResumeJob):
        return job.devices or place.local_size, job.nodes or place.nodes
    names, default = ("devices", "nodes"), TrainingConfig()
    if (settings.devices, settings.nodes) == (default.devices, default.nodes) and not any(
        f"training.{name}" in job.overrides for name in names
    ):
        return place.local_size, place.nodes
    return settings.devices, settings.nodes


def rank_given(environ: Mapping[str, str] = os.environ) -> int:
    """Return the number that this process was given; 0 where it was given none.

    A user's ``NODE_RANK`` counts as well, whatever the settings say of machines.
    """
    given = given_place(environ)
    if given is not None:
        return given.rank
    return _number(environ, "NODE_RANK") if "NODE_RANK" in environ else 0


def given_place(environ: Mapping[str, str] = os.environ) -> Place | None:
    """Return the place that torchrun, SLURM or another process of the training has given.

    Returns
    -------
    Place or None
        None where it is settings that count.

    Raises
    ------
    ConfigError
        If variables contradict each other.
    """
    if SPAWNED in environ or "TORCHELASTIC_RUN_ID" in environ:
        return Place(
            _number(environ, "RANK"),
            _number(environ, "WORLD_SIZE"),
            _number(environ, "LOCAL_RANK"),
            _number(environ, "LOCAL_WORLD_SIZE"),
            _number(environ, "GROUP_WORLD_SIZE"),
            "parent" if SPAWNED in environ else "torchrun",
        )
    # The batch script itself has SLURM_NTASKS too, but only what srun starts is part of a step.
    if _number({"SLURM_STEP_NUM_TASKS": "1"} | dict(environ), "SLURM_STEP_NUM_TASKS") == 1:
        return None
    return None if environ.get("SLURM_JOB_NAME") in _INTERACTIVE else _slurm(environ)


def _slurm(environ: Mapping[str, str]) -> Place:
    size = _number(environ, "SLURM_STEP_NUM_TASKS")
    of_nodes = next((n for n in ("SLURM_STEP_NUM_NODES", "SLURM_NNODES") if n in environ), "")
    nodes = _number(environ, of_nodes) if of_nodes else 1
    per_node = environ.get("SLURM_NTASKS_PER_NODE", "")
    if not per_node.isdecimal() or int(per_node) * nodes != size:
        raise ConfigError(
            f"srun has started {size} processes on {nodes} machines; every machine must have as "
            f"many. Give srun --nodes={nodes} --ntasks-per-node={max(1, size // nodes)}."
        )
    rank, local = _number(environ, "SLURM_PROCID"), _number(environ, "SLURM_LOCALID")
    return Place(rank, size, local, int(per_node), nodes, "slurm")


def _number(environ: Mapping[str, str], name: str) -> int:
    try:
        return int(environ[name])
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"The variable {name} is {environ.get(name, 'not set')!r}, where what starts the "
            "processes of a training should have written a number. Start it with torchrun, srun, "
            "or 'dre-slcl train --devices'."
        ) from error
