"""Runs that are killed, and runs whose files were changed: what goes on, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from napari_dre_slcl.atomic_file import aside_of
from napari_dre_slcl.engine.run_folder import check_run_dir, run_lock
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import (
    Cancelled,
    Event,
    Failed,
    Log,
    Metric,
    Progress,
    Result,
    ResumeJob,
    TrainJob,
)
from napari_dre_slcl.jobs.run_status import read_status
from napari_dre_slcl.jobs.worker import run_job
from napari_dre_slcl.methods.dre_slcl import Clock, DreSlcl
from napari_dre_slcl.methods.slide_batch import SlideBatch

# Every stage that a run can have, with random numbers in each that has any.
SETTINGS = {
    "cohort.val_fraction": 0.3,
    "encoder.name": "test_vit",
    "encoder.input_px": 32,
    "encoder.channels_last": True,
    "codebook.codewords": 2,
    "codebook.refit_after_epoch": 1,
    "residual.dropout": 0.1,
    "pretrain.epochs": 1,
    "pretrain.tiles_per_batch": 4,
    "training.epochs": 2,
    "training.fresh_tiles": 2,
    "training.bank_tiles": None,
    "training.bank_memory_mib": 0,  # mapped files; the benchmark keeps its bank in memory
    "training.slides_per_batch": 2,
    "training.refresh_stalest": 0.3,
    "training.ema": 0.9,
    "training.patience": 2,
    "training.checkpoint_steps": 1,
    "training.preflight": False,
}
LONGEST_S = 120.0
Moment = Callable[[Event], bool]

forks = pytest.mark.skipif(sys.platform != "linux", reason="children are forked with torch loaded")


@pytest.fixture(scope="module")
def job(
    tmp_path_factory: pytest.TempPathFactory,
    make_slide: Callable[..., Path],
    tissue_image: Callable[..., np.ndarray],
) -> TrainJob:
    """Eight slides of four tiles; the job's run folder is not there yet."""
    folder = tmp_path_factory.mktemp("resume")
    lines = ["slide,patient_id,subtype,report"]
    for number in range(8):
        image = tissue_image(512, 512, (0, 0, 512, 512)) * [1, 0.6][number % 2]
        make_slide(folder / f"s{number}.tif", image=image.astype(np.uint8))
        report = f"{['pale', 'dark'][number % 2]} tumour {number}"
        lines.append(f"s{number}.tif,P{number},{'AB'[number % 2]},{report}")
    (folder / "cohort.csv").write_text("\n".join(lines))
    return TrainJob(
        cohort=folder / "cohort.csv",
        run_dir=folder / "run",
        preset="cpu-small",
        overrides=SETTINGS,
    )


@pytest.fixture(scope="module")
def reference(job: TrainJob) -> dict[str, bytes]:
    """What a run leaves that is not broken off."""
    whole = job.model_copy(update={"run_dir": job.run_dir.with_name("whole")})
    assert isinstance(run_train(whole, lambda event: None, lambda: False), Result)
    return outcome(whole.run_dir)


@pytest.fixture
def new_job(job: TrainJob, tmp_path: Path) -> TrainJob:
    """The job with a run folder of its own."""
    return job.model_copy(update={"run_dir": tmp_path / "run"})


def outcome(run_dir: Path) -> dict[str, bytes]:
    names = ("losses.csv", "model/model.safetensors", "metrics.json", "predictions.csv")
    return {name: (run_dir / name).read_bytes() for name in names}


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_killed(
    job: TrainJob | ResumeJob, at_event: Moment, in_checkpoint: int = 0, at_removal: str = ""
) -> None:
    """Run a job in a child that gets SIGKILL at an event, or at what a later file is done to.

    That is a flush of a checkpoint, or the removal of a folder.
    """
    child = os.fork()
    if child:
        until = time.monotonic() + LONGEST_S
        pid = 0
        while not pid and time.monotonic() < until:
            pid, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.01)
        assert pid, "the child neither ended nor was killed"
        assert os.WIFSIGNALED(status), f"the child ended with {os.waitstatus_to_exitcode(status)}"
        return
    was_reached, flushes, flush, remove = False, 0, os.fsync, os.rmdir

    def on_event(event: Event) -> None:
        nonlocal was_reached
        if at_event(event):
            was_reached = True
            if not in_checkpoint and not at_removal:
                kill_itself()

    def count(handle: int) -> None:
        nonlocal flushes
        if was_reached and "checkpoints" in os.readlink(f"/proc/self/fd/{handle}"):
            flushes += 1
            if flushes == in_checkpoint:
                kill_itself()
        flush(handle)

    def remove_none(path: str, **where: int) -> None:
        if was_reached and at_removal and Path(path).name.startswith(at_removal):
            kill_itself()
        remove(path, **where)

    os.fsync, os.rmdir = count, remove_none
    run_job(job, on_event)
    os._exit(0)


def leave_half_a_file(path: Path) -> None:
    """Leave what a process leaves that is killed while it writes a file."""
    child = os.fork()
    if not child:
        aside_of(path).touch()
        kill_itself()
    os.waitpid(child, 0)


def at(stage: str, done: int = 0, message: str = "") -> Moment:
    def is_there(event: Event) -> bool:
        return (
            isinstance(event, Progress)
            and event.stage == stage
            and event.done >= done
            and message in event.message
        )

    return is_there


def resume(run_dir: Path) -> list[Event]:
    events: list[Event] = []
    assert isinstance(run_resume(ResumeJob(run_dir=run_dir), events.append, lambda: False), Result)
    return events


@forks
@pytest.mark.parametrize(
    ("moment", "in_checkpoint"),
    [(at("Filling the memory bank", 3), 1), (at("Refreshing the memory bank", 1), 0)],
    ids=["codebook", "refill"],
)
def test_a_killed_run_goes_on_to_the_same_bits(
    new_job: TrainJob, reference: dict[str, bytes], moment: Moment, in_checkpoint: int
) -> None:
    run_killed(new_job, moment, in_checkpoint)
    assert not (new_job.run_dir / "predictions.csv").exists()
    resume(new_job.run_dir)
    assert outcome(new_job.run_dir) == reference
    assert not (new_job.run_dir / "checkpoints").exists()


@forks
def test_a_run_killed_at_every_stage_goes_on_to_the_same_bits_and_keeps_one_record(
    new_job: TrainJob, reference: dict[str, bytes]
) -> None:
    again = ResumeJob(run_dir=new_job.run_dir)
    run_killed(new_job, at("Pretraining the tile encoder", 2))
    run_killed(again, at("Filling the memory bank", 1))
    run_killed(again, at("Training", 1), in_checkpoint=4)
    assert list(new_job.run_dir.glob("checkpoints/.part-*"))
    run_killed(again, at("Refreshing the stalest tiles", 1))
    run_killed(again, at("Validating", 1))
    run_killed(again, at("Predicting held-out slides", 1))
    leave_half_a_file(new_job.run_dir / "metrics.json")
    kept = [new_job.run_dir / "model", *new_job.run_dir.glob("results/*.npz")]
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in kept]
    status = json.loads((new_job.run_dir / "status.json").read_text())
    assert (status["state"], status["is_resumable"]) == ("running", True)
    assert run_job(again, lambda event: None).event == "result"
    assert outcome(new_job.run_dir) == reference
    assert len(kept) == 2
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in kept] == before
    status = json.loads((new_job.run_dir / "status.json").read_text())
    assert (status["state"], status["is_resumable"]) == ("finished", False)
    assert (new_job.run_dir / "events.jsonl").read_text().count("goes on after step") == 6
    assert not list(new_job.run_dir.glob(".*"))
    with pytest.raises(JobError, match="has ended well; there is nothing to do"):
        resume(new_job.run_dir)


@forks
@pytest.mark.parametrize("folder", ["step-", "checkpoints"])
def test_a_run_killed_when_all_but_its_end_was_noted_ends_by_the_next_start(
    new_job: TrainJob, reference: dict[str, bytes], folder: str
) -> None:
    run_killed(new_job, at("Predicting held-out slides"), at_removal=folder)
    assert (new_job.run_dir / "checkpoints").exists()
    assert read_status(new_job.run_dir).state == "lost"
    before = outcome(new_job.run_dir)
    told: list[Event] = []
    end = run_job(ResumeJob(run_dir=new_job.run_dir), told.append)
    assert isinstance(end, Result)
    assert end.metrics == {
        "test/auc/subtype": json.loads(before["metrics.json"])["test/auc/subtype"]
    }
    assert end.paths["predictions"].is_file()
    assert any("had ended well" in event.message for event in told if isinstance(event, Log))
    assert outcome(new_job.run_dir) == before == reference
    assert not (new_job.run_dir / "checkpoints").exists()
    status = read_status(new_job.run_dir)
    assert (status.state, status.is_resumable) == ("finished", False)
    again = run_job(ResumeJob(run_dir=new_job.run_dir), told.append)
    assert isinstance(again, Failed)
    assert "has ended well; there is nothing to do" in again.message


@forks
def test_the_figures_of_a_run_that_all_but_ended_must_be_readable(
    new_job: TrainJob, reference: dict[str, bytes]
) -> None:
    run_killed(new_job, at("Predicting held-out slides"), at_removal="step-")
    (new_job.run_dir / "metrics.json").write_text("[]")
    with pytest.raises(JobError, match=r"The figures of the run .* from metrics\.json \("):
        resume(new_job.run_dir)


@forks
def test_a_folder_whose_process_was_killed_before_the_run_began_is_free(new_job: TrainJob) -> None:
    run_dir = new_job.run_dir
    run_dir.mkdir()
    for name in ("job.json", "env.json"):
        (run_dir / name).write_text("{}")
    leave_half_a_file(run_dir / "config.toml")
    check_run_dir(run_dir)
    (run_dir / "config.toml").touch()
    with pytest.raises(JobError, match="is in use already"):
        check_run_dir(run_dir)


@pytest.fixture
def cancelled(new_job: TrainJob) -> TrainJob:
    """A job that was cancelled in its second step."""
    events: list[Event] = []
    end = run_train(new_job, events.append, lambda: bool(events) and at("Training", 1)(events[-1]))
    assert isinstance(end, Cancelled)
    assert f"dre-slcl resume {new_job.run_dir}" in end.message
    return new_job


def test_a_cancelled_run_goes_on_with_its_own_settings(
    cancelled: TrainJob, reference: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_dre_slcl.config import presets

    monkeypatch.setitem(presets._PRESETS, "cpu-small", {"encoder.name": "of a newer version"})
    events = resume(cancelled.run_dir)
    assert outcome(cancelled.run_dir) == reference
    assert any(
        isinstance(e, Log) and "goes on after step 1, in epoch 1" in e.message for e in events
    )
    assert [event.step for event in events if isinstance(event, Metric)] == [1, 2]


def _change_settings(job: TrainJob) -> Path:
    path = job.run_dir / "config.toml"
    path.write_text(path.read_text().replace("fresh_tiles = 2", "fresh_tiles = 3"))
    return path


def _change_job(job: TrainJob) -> Path:
    path = job.run_dir / "job.json"
    path.write_text(path.read_text().replace("cpu-small", "default"))
    return path


def _change_checkpoint(job: TrainJob) -> Path:
    (path,) = job.run_dir.glob("checkpoints/*/model.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    return path


def _break_settings(job: TrainJob) -> Path:
    path = job.run_dir / "config.toml"
    path.write_text("[training]\nepochs = 'many'\n")
    return path


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_change_settings, r"The settings '.*config\.toml' changed after the run had started"),
        (_change_job, r"The job '.*job\.json' changed after the run had started"),
        (_change_checkpoint, r"checkpoint '.*' is damaged"),
        (_break_settings, r"holds no settings of this version \(training\.epochs: .*integer"),
    ],
)
def test_a_changed_run_is_refused(cancelled: TrainJob, change, sentence: str) -> None:
    changed = change(cancelled)
    before = {path: path.read_bytes() for path in cancelled.run_dir.rglob("*") if path.is_file()}
    with pytest.raises(JobError, match=sentence):
        resume(cancelled.run_dir)
    after = {path: path.read_bytes() for path in cancelled.run_dir.rglob("*") if path.is_file()}
    assert changed in before
    assert after == before


def test_a_changed_cohort_table_and_changed_slides_are_refused(
    cancelled: TrainJob, make_slide: Callable[..., Path], tissue_image
) -> None:
    table = cancelled.cohort.read_text()
    cancelled.cohort.write_text(table.replace("pale", "light"))
    with pytest.raises(JobError, match=r"The cohort table '.*cohort\.csv' changed after"):
        resume(cancelled.run_dir)
    cancelled.cohort.write_text(table)
    slide = cancelled.cohort.with_name("s0.tif")
    pixels = slide.read_bytes()
    make_slide(slide, image=tissue_image(512, 768, (0, 0, 512, 768)))
    try:
        with pytest.raises(JobError, match="are not those that the run was started with"):
            resume(cancelled.run_dir)
        slide.unlink()
        with pytest.raises(JobError, match=r"cannot go on\. .*s0\.tif' does not exist.*bring them"):
            resume(cancelled.run_dir)
    finally:
        slide.write_bytes(pixels)


def test_another_number_of_threads_is_told(cancelled: TrainJob) -> None:
    path = cancelled.run_dir / "env.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"processor_threads": "77"}))
    said = [event.message for event in resume(cancelled.run_dir) if isinstance(event, Log)]
    assert any("Set OMP_NUM_THREADS=77 for the same ones" in sentence for sentence in said)


def test_a_run_under_way_is_not_run_twice(cancelled: TrainJob) -> None:
    before = (cancelled.run_dir / "config.toml").stat().st_mtime_ns
    with run_lock(cancelled.run_dir):
        end = run_job(ResumeJob(run_dir=cancelled.run_dir), lambda event: None)
    assert end.event == "failed"
    assert f"is under way in another process: process {os.getpid()} on " in end.message
    assert ", since 20" in end.message
    assert not (cancelled.run_dir / "status.json").exists()
    assert (cancelled.run_dir / "config.toml").stat().st_mtime_ns == before


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="There is no run folder"):
        resume(tmp_path / "none")
    with pytest.raises(JobError, match=r"is no run folder: it has no job\.json"):
        resume(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_its_checkpoint(
    new_job: TrainJob, reference: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = DreSlcl.loss

    def broken(self: DreSlcl, batch: SlideBatch, features: Tensor, step: int, clock: Clock):
        losses = sound(self, batch, features, step, clock)
        return losses | {"loss": losses["loss"] * (float("nan") if step == 3 else 1.0)}

    monkeypatch.setattr(DreSlcl, "loss", broken)
    end = run_job(new_job, lambda event: None)
    assert end.event == "failed"
    assert "at step 3 because the loss is no longer a number. Lower training.lr_enc" in end.message
    (checkpoint,) = new_job.run_dir.glob("checkpoints/*")
    assert checkpoint.name.startswith("step-00000002")
    status = json.loads((new_job.run_dir / "status.json").read_text())
    assert (status["state"], status["is_resumable"]) == ("failed", True)
    monkeypatch.setattr(DreSlcl, "loss", sound)
    resume(new_job.run_dir)
    assert outcome(new_job.run_dir) == reference
