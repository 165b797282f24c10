"""A disk that runs full while a run writes: what is told, what is kept, and that it goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import Event, Metric, Result, ResumeJob, TrainJob

MakeJob = Callable[..., TrainJob]
SHORT = {"training.epochs": 3, "codebook.refit_after_epoch": 0}


def outcome(run_dir: Path) -> list[bytes]:
    return [(run_dir / name).read_bytes() for name in ("losses.csv", "model/model.safetensors")]


@pytest.fixture(scope="module")
def whole(job_in: MakeJob, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """What a run leaves that has room."""
    job = job_in(tmp_path_factory.mktemp("whole"), **SHORT)
    assert isinstance(run_train(job, lambda event: None, lambda: False), Result)
    return outcome(job.run_dir)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not sys.platform.startswith("linux"):
        pytest.skip("mounts a tmpfs")
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Write a file that leaves no room."""
    ballast = folder / "ballast"
    room = shutil.disk_usage(folder).free
    ballast.write_bytes(bytes(room))
    assert shutil.disk_usage(folder).free < 4096


def test_a_full_disk_is_told_and_the_run_goes_on_once_there_is_room(
    whole: list[bytes], train_job: MakeJob, small_disk: Path
) -> None:
    job = train_job(**SHORT).model_copy(update={"run_dir": small_disk / "run"})
    ballast = small_disk / "ballast"

    def fill_after_an_epoch(event: Event) -> None:
        if isinstance(event, Metric) and not ballast.exists():
            fill(small_disk)

    with pytest.raises(JobError, match=r"disk of the run .* is full .*No space left") as told:
        run_train(job, fill_after_an_epoch, lambda: False)
    assert f"free space, then go on with 'dre-slcl resume {job.run_dir}'" in str(told.value)
    (checkpoint,) = job.run_dir.glob("checkpoints/*")
    assert (checkpoint / "state.json").is_file()
    ballast.unlink()
    again = ResumeJob(run_dir=job.run_dir)
    assert isinstance(run_resume(again, lambda event: None, lambda: False), Result)
    assert outcome(job.run_dir) == whole


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes to set")
def test_a_checkpoint_that_may_not_grow_leaves_the_one_before(
    whole: list[bytes], train_job: MakeJob
) -> None:
    import resource

    job = train_job("limited", **SHORT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit_after_an_epoch(event: Event) -> None:
        if isinstance(event, Metric):
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))

    try:
        with pytest.raises(JobError, match=r"is full \(File too large\)"):
            run_train(job, limit_after_an_epoch, lambda: False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (checkpoint,) = job.run_dir.glob("checkpoints/*")
    assert checkpoint.name == "step-00000000-2"
    run_resume(ResumeJob(run_dir=job.run_dir), lambda event: None, lambda: False)
    assert outcome(job.run_dir) == whole
