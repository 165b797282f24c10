"""The folder of a run: made once the job has proved to be sound, never over an earlier one."""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import tomli_w
import torch
from pydantic import ValidationError

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import write_json, write_text
from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import TrainJob, parse_job
from napari_dre_slcl.slide.remote import located

__all__ = [
    "check_run_dir",
    "create_run_dir",
    "environment",
    "read_run_dir",
    "remove_unfinished",
    "run_lock",
    "with_absolute_paths",
]

_LOCK = ".lock"
_EMPTY = {"job.json", _LOCK}
_ENVIRONMENT = "env.json"


def check_run_dir(run_dir: Path) -> None:
    """Refuse a run folder that is in use.

    Raises
    ------
    JobError
        If it holds anything but a job file, or is no folder.
    """
    is_free = run_dir.is_dir() and {path.name for path in run_dir.iterdir()} <= _EMPTY
    if run_dir.exists() and not is_free:
        raise JobError(
            f"The run folder '{run_dir}' is in use already. Choose another, or delete it first; "
            f"'dre-slcl resume {run_dir}' goes on with a training that was broken off."
        )


@contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Keep a run folder to this process for the length of a block, which may make the folder.

    Raises
    ------
    JobError
        If another process has it, or the folder cannot be written.
    """
    path = run_dir / _LOCK
    lock = filelock.FileLock(path, blocking=False)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise JobError(
            f"The run '{run_dir}' is under way in another process. Wait for its end, or put a "
            "file named 'cancel' into the folder to end it."
        ) from error
    except OSError as error:
        raise JobError(
            f"The run folder '{run_dir}' cannot be written: {error.strerror}."
        ) from error
    try:
        yield
    finally:
        lock.release()
        with suppress(OSError):
            path.unlink(missing_ok=True)


def create_run_dir(job: TrainJob, config: DreSlclConfig) -> None:
    """Write ``job.json``, ``env.json`` and ``config.toml`` into the run folder.

    Raises
    ------
    JobError
        If they cannot be written.
    """
    whole = job.model_copy(
        update={"cohort": job.cohort.absolute(), "run_dir": job.run_dir.absolute()}
    )
    try:
        write_text(job.run_dir / "job.json", whole.model_dump_json(indent=2) + "\n")
        write_json(job.run_dir / _ENVIRONMENT, _environment())
        settings = config.model_dump(mode="json", exclude_none=True)
        write_text(job.run_dir / "config.toml", tomli_w.dumps(settings))
    except OSError as error:
        raise JobError(
            f"The run folder '{job.run_dir}' cannot be written: {error.strerror}."
        ) from error


def with_absolute_paths(config: DreSlclConfig) -> DreSlclConfig:
    """Return settings whose files are found from any working folder, as a resumed run may need."""
    changes: dict[str, str] = {}
    for section, fields in config.model_dump().items():
        if isinstance(fields, dict):
            for name, value in fields.items():
                if isinstance(value, Path):
                    changes[f"{section}.{name}"] = str(located(value))
    model = config.text.model
    if model is not None and Path(model).is_dir():  # or the name of one on a hub
        changes["text.model"] = str(Path(model).absolute())
    return with_overrides(config, changes)


def read_run_dir(run_dir: Path) -> tuple[TrainJob, DreSlclConfig]:
    """Return the job and the settings that a run was started with.

    Raises
    ------
    JobError
        If the folder is no run folder, or its files are damaged.
    """
    if not (run_dir / "job.json").is_file():
        raise JobError(f"'{run_dir}' is no run folder: it has no job.json. Check the path.")
    job = parse_job(run_dir / "job.json")
    if not isinstance(job, TrainJob):
        raise JobError(f"'{run_dir}' is no run folder of a training: its job.json is another job.")
    path = run_dir / "config.toml"
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        config = DreSlclConfig.model_validate(settings)
    except FileNotFoundError as error:
        raise JobError(
            f"The run '{run_dir}' ended before it had begun: it has no config.toml. Delete the "
            "folder and start the training again."
        ) from error
    except OSError as error:
        raise JobError(f"'{path}' cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise JobError(
            f"'{path}' holds no settings of this version ({_first_line(error)}). Bring the file "
            "back as it was, or start a new run."
        ) from error
    return job.model_copy(update={"run_dir": run_dir}), config


def remove_unfinished(run_dir: Path) -> None:
    """Delete the half-written files of a process that was killed; this one must hold the lock."""
    for path in run_dir.glob(".*.part"):
        path.unlink(missing_ok=True)
    for path in run_dir.glob(".model.*"):
        shutil.rmtree(path, ignore_errors=True)


def environment(run_dir: Path) -> dict[str, str]:
    """Return the versions and the machine that a run was started with; empty where unknown."""
    try:
        found = json.loads((run_dir / _ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)


def _environment() -> dict[str, str]:
    return {
        "napari-dre-slcl": __version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor_threads": str(torch.get_num_threads()),
    }
