"""The folder of a run: made once the job has proved to be sound, never over an earlier one."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import tomli_w
import torch
from pydantic import ValidationError

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import delete_left_over, write_json, write_text
from napari_dre_slcl.cohort.left_out import LEFT_OUT, write_left_out
from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import TrainJob, parse_job
from napari_dre_slcl.locks.lock_file import RUN_LOCK, BusyError, Hold, hold
from napari_dre_slcl.slide.remote import located
from napari_dre_slcl.untrusted import read_json, read_toml

__all__ = [
    "check_run_dir",
    "create_run_dir",
    "environment",
    "read_run_dir",
    "remove_unfinished",
    "run_lock",
    "with_absolute_paths",
]

_LONGEST_REASON = 300
_ENVIRONMENT = "env.json"
# A run has begun with its settings; what is there without them is of a process that was killed.
_BEFORE_SETTINGS = {"job.json", _ENVIRONMENT, LEFT_OUT, RUN_LOCK}


def check_run_dir(run_dir: Path) -> None:
    """Refuse a run folder that is in use.

    Raises
    ------
    JobError
        If it holds anything but what a run has before it begins, or is no folder.
    """
    is_free = run_dir.is_dir() and all(
        path.name in _BEFORE_SETTINGS or (path.name.startswith(".") and path.suffix == ".part")
        for path in run_dir.iterdir()
    )
    if run_dir.exists() and not is_free:
        raise JobError(
            f"The run folder '{run_dir}' is in use already. Choose another, or delete it first; "
            f"'dre-slcl resume {run_dir}' goes on with a training that was broken off."
        )


@contextmanager
def run_lock(
    run_dir: Path, tell: Callable[[str], None] = lambda sentence: None
) -> Iterator[Callable[[], None]]:
    """Keep a run folder to this process for the length of a block, which may make the folder.

    Parameters
    ----------
    run_dir : Path
        The run folder.
    tell : callable
        Told in a sentence whose run it was, where that process has ended without a word.

    Yields
    ------
    callable
        Raises `JobError` where the folder has fallen to another process meanwhile, as it may while
        this machine sleeps; to be called before something is written.

    Raises
    ------
    JobError
        If another process has it, or the folder cannot be written.
    """
    try:
        with ExitStack() as stack:
            try:
                run_dir.mkdir(parents=True, exist_ok=True)
                mine = stack.enter_context(hold(run_dir / RUN_LOCK, keeps_if_stopped=True))
            except OSError as error:
                raise JobError(
                    f"The run folder '{run_dir}' cannot be written: {error.strerror}."
                ) from error
            if mine.ended is not None:
                tell(f"The run was left by {mine.ended}, which ended without a word.")
            yield partial(_check, run_dir, mine)
    except BusyError as error:
        who = f": {error.holder}" if error.holder is not None else ""
        raise JobError(
            f"The run '{run_dir}' is under way in another process{who}. Wait for its end, or "
            "put a file named 'cancel' into the folder to end it."
        ) from error


def _check(run_dir: Path, mine: Hold) -> None:
    try:
        mine.check()
    except BusyError as error:
        raise JobError(
            f"The run '{run_dir}' was taken over by {error}, since nothing was heard of this one "
            "for a minute. Nothing more is written from here; follow the other one."
        ) from error


def create_run_dir(job: TrainJob, config: DreSlclConfig, left_out: Mapping[str, str]) -> None:
    """Write ``job.json``, ``env.json`` and ``config.toml`` into the run folder.

    Parameters
    ----------
    job : TrainJob
        The job.
    config : DreSlclConfig
        All of its settings.
    left_out : mapping of str
        Why slides take no part, by slide_id; where there are any they are listed in
        ``left-out.csv``.

    Raises
    ------
    JobError
        If they cannot be written.
    """
    whole = job.model_copy(
        update={"cohort": job.cohort.absolute(), "run_dir": job.run_dir.absolute()}
    )
    remove_unfinished(job.run_dir)
    try:
        write_text(job.run_dir / "job.json", whole.model_dump_json(indent=2) + "\n")
        write_json(job.run_dir / _ENVIRONMENT, _environment())
        write_left_out(job.run_dir, left_out)
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
        settings = read_toml(path)
        config = DreSlclConfig.model_validate(settings)
    except FileNotFoundError as error:
        raise JobError(
            f"The run '{run_dir}' ended before it had begun: it has no config.toml. Start the "
            "training again, with the same folder."
        ) from error
    except OSError as error:
        raise JobError(f"'{path}' cannot be read: {error.strerror}.") from error
    except (ValueError, ValidationError) as error:
        raise JobError(
            f"'{path}' holds no settings of this version ({_first_line(error)}). Bring the file "
            "back as it was, or start a new run."
        ) from error
    return job.model_copy(update={"run_dir": run_dir}), config


def remove_unfinished(run_dir: Path) -> None:
    """Delete the half-written files of processes that were killed."""
    for place in (run_dir, run_dir / "results"):
        delete_left_over(place)


def environment(run_dir: Path) -> dict[str, str]:
    """Return the versions and the machine that a run was started with; empty where unknown."""
    try:
        found = read_json(run_dir / _ENVIRONMENT)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part)[:60] for part in first["loc"])
        return f"{where}: {first['msg']}"[:_LONGEST_REASON]
    return str(error)[:_LONGEST_REASON]


def _environment() -> dict[str, str]:
    return {
        "napari-dre-slcl": __version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor_threads": str(torch.get_num_threads()),
    }
