"""The folder of a run: made once the job has proved to be sound, never over an earlier one."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import tomli_w
import torch

from napari_dre_slcl._version import __version__
from napari_dre_slcl.atomic_file import write_json, write_text
from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import TrainJob

__all__ = ["check_run_dir", "create_run_dir"]


def check_run_dir(run_dir: Path) -> None:
    """Refuse a run folder that is in use.

    Raises
    ------
    JobError
        If it holds anything but a job file.
    """
    if run_dir.is_dir() and {path.name for path in run_dir.iterdir()} <= {"job.json"}:
        return
    if run_dir.exists():
        raise JobError(
            f"The run folder '{run_dir}' is in use already. Choose another, or delete it first."
        )


def create_run_dir(job: TrainJob, config: DreSlclConfig) -> None:
    """Make the run folder with ``job.json``, ``config.toml`` and ``env.json``.

    Raises
    ------
    JobError
        If it cannot be written.
    """
    try:
        job.run_dir.mkdir(parents=True, exist_ok=True)
        write_text(job.run_dir / "job.json", job.model_dump_json(indent=2) + "\n")
        settings = config.model_dump(mode="json", exclude_none=True)
        write_text(job.run_dir / "config.toml", tomli_w.dumps(settings))
        write_json(job.run_dir / "env.json", _environment())
    except OSError as error:
        raise JobError(
            f"The run folder '{job.run_dir}' cannot be written: {error.strerror}."
        ) from error


def _environment() -> dict[str, str]:
    return {
        "napari-dre-slcl": __version__,
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor_threads": str(torch.get_num_threads()),
    }
