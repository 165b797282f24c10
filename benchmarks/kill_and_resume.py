"""Kill training runs at any moment, go on with them, and compare with a run never killed.

    python benchmarks/kill_and_resume.py [--kills 30] [--seed 0] [--folder DIR]

Trains a tiny network on generated slides through all that a run can do: pretraining, bank fill,
codebook fit, steps, refills, a second codebook fit, refresh of the stalest tiles, validation,
moving average, early stopping, test. Then runs the same job again and again in child processes and
ends each by SIGKILL: a third at a random time, a third at a random flush to the disk, which are
those of checkpoints, of the bank and of small files, and a third within a stage, each stage as
often as the others. Every killed run is then resumed, one in three being killed a second time.
Compares ``losses.csv`` and ``model/model.safetensors`` with
those of the first run, byte for byte. Exits with 1 where one differs. Not for Windows.

Children are forked from a process that has imported everything, so a run takes seconds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from napari_dre_slcl.cohort.synthetic import generate_cohort
from napari_dre_slcl.engine import train
from napari_dre_slcl.jobs.messages import Event, Progress, ResumeJob, TrainJob
from napari_dre_slcl.jobs.worker import run_job

SETTINGS = {
    "cohort.tasks": ["cancer"],
    "cohort.val_fraction": 0.3,
    "encoder.name": "test_resnet",  # with batch normalisation, whose figures go on as well
    "encoder.input_px": 64,
    "encoder.channels_last": True,
    "codebook.codewords": 3,
    "codebook.refit_after_epoch": 1,
    "residual.dropout": 0.1,
    "pretrain.epochs": 1,
    "pretrain.tiles_per_batch": 16,
    "training.epochs": 6,
    "training.slides_per_batch": 2,
    "training.fresh_tiles": 3,
    "training.bank_tiles": None,
    "training.augment": True,
    "training.encode_chunk": 4,
    "training.refill_every_epochs": 2,
    "training.refresh_stalest": 0.2,
    "training.ema": 0.9,
    "training.patience": 3,
    "training.checkpoint_steps": 1,
    "training.preflight": False,
    "training.device": "cpu",
}
COMPARED = ("losses.csv", "model/model.safetensors")
LONGEST_S = 300.0
# Kills that do not count: there was no run yet, or no longer.
BEFORE, AFTER, FAILED = "before the run", "after its end", "failed"


def start(
    job: TrainJob | ResumeJob, kill_at_flush: int = 0, kill_in: tuple[str, int] = ("", 0)
) -> int:
    """Fork a child that runs a job, and return its process id.

    The child kills itself at its flush of this number, or at the progress of this number in this
    stage. At its end it says how many flushes there were.
    """
    child = os.fork()
    if child:
        return child
    flushes, flush, said = 0, os.fsync, Counter()

    def count(handle: int) -> None:
        nonlocal flushes
        flushes += 1
        if flushes == kill_at_flush:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(handle)

    def on_event(event: Event) -> None:
        if isinstance(event, Progress):
            said[event.stage] += 1
            if (event.stage, said[event.stage]) == kill_in:
                os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = count
    end = run_job(job, on_event)
    if end.event != "result":
        os.write(2, f"{end.event}: {end.message}\n".encode())
        os._exit(1)
    (job.run_dir / "flushes.txt").write_text(f"{flushes}\n")
    os._exit(0)


def wait(child: int, seconds: float = LONGEST_S) -> int:
    """Return how a child ended; kill it after so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def moment(run_dir: Path) -> str:
    """Say in which part of the run it was killed."""
    if not (run_dir / "config.toml").exists():
        return BEFORE
    if list(run_dir.glob("checkpoints/.part-*")):
        return "checkpoint write"
    stage = "the start"
    events = run_dir / "events.jsonl"
    if events.exists():
        for line in events.read_text().splitlines(keepends=True):
            if line.endswith("\n") and (event := json.loads(line))["event"] == "progress":
                stage = event["stage"]
    return stage


def stages(run_dir: Path) -> list[tuple[str, int]]:
    """Return the stages of a run that has ended, and how often each told its progress."""
    events = map(json.loads, (run_dir / "events.jsonl").read_text().splitlines())
    return list(Counter(e["stage"] for e in events if e["event"] == "progress").items())


@dataclass(frozen=True)
class Whole:
    """What is known of the run that is not killed."""

    seconds: float
    flushes: int
    stages: list[tuple[str, int]]


def killed_run(job: TrainJob, how: random.Random, whole: Whole) -> list[str]:
    """Run a job, killing it once or twice; return where, ``failed`` last if it did not end."""
    moments = []
    n_kills = 2 if how.random() < 1 / 3 else 1
    next_job: TrainJob | ResumeJob = job
    for _ in range(n_kills):
        way = how.randrange(3)
        if way == 0:
            code = wait(start(next_job), how.uniform(0.02, 0.8 * whole.seconds))
        elif way == 1:
            code = wait(start(next_job, how.randint(1, whole.flushes)))
        else:
            stage, count = how.choice(whole.stages)
            code = wait(start(next_job, kill_in=(stage, how.randint(1, count))))
        if code == 0:
            return [*moments, AFTER]
        if code != -signal.SIGKILL:
            return [*moments, FAILED]
        moments.append(moment(job.run_dir))
        if moments[-1] == BEFORE:  # there is nothing to resume, and nothing in the way
            shutil.rmtree(job.run_dir, ignore_errors=True)
        next_job = ResumeJob(run_dir=job.run_dir) if job.run_dir.exists() else job
    return moments if wait(start(next_job)) == 0 else [*moments, FAILED]


def same(run_dir: Path, reference: Path) -> bool:
    """Whether a run has the trace and the weights of the reference, to the last bit."""
    return all(
        (run_dir / name).is_file()
        and (run_dir / name).read_bytes() == (reference / name).read_bytes()
        for name in COMPARED
    )


def without_split(table: Path) -> Path:
    """Return a copy of a cohort table that leaves the draw of held-out patients to the job."""
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    path = table.with_name("no_split.csv")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [name for name in rows[0] if name != "split"])
        writer.writeheader()
        writer.writerows({k: v for k, v in row.items() if k != "split"} for row in rows)
    return path


def compare(folder: Path, n_kills: int, seed: int) -> bool:
    cohort = without_split(generate_cohort(folder / "cohort", n_slides=9, side_px=1024))
    job = TrainJob(
        cohort=cohort, run_dir=folder / "reference", preset="cpu-small", overrides=SETTINGS
    )
    begun = time.monotonic()
    if wait(start(job)) != 0:
        sys.stderr.write("The run that is not killed failed.\n")
        return False
    seconds = time.monotonic() - begun
    flushes = int((job.run_dir / "flushes.txt").read_text())
    steps = len((job.run_dir / "losses.csv").read_text().splitlines()) - 1
    print(f"uninterrupted: {steps} steps, {flushes} flushes, {seconds:.1f} s", flush=True)
    whole = Whole(seconds, flushes, stages(job.run_dir))
    how, hit, identical, runs = random.Random(seed), Counter(), 0, 0
    kills = 0
    while kills < n_kills:
        run = job.model_copy(update={"run_dir": folder / f"killed-{runs:03}"})
        moments = killed_run(run, how, whole)
        is_same = same(run.run_dir, job.run_dir)
        runs, identical = runs + 1, identical + is_same
        real = [where for where in moments if where not in (BEFORE, AFTER, FAILED)]
        kills += len(real)
        hit.update(real)
        print(
            f"run {runs}: killed in {', then '.join(moments)}: "
            f"{'identical' if is_same else 'DIFFERENT'}",
            flush=True,
        )
        if is_same:
            shutil.rmtree(run.run_dir)
    for where, count in hit.most_common():
        print(f"{count:4}  {where}")
    print(f"{kills} kills in {runs} runs, {identical} of {runs} runs bit-identical")
    return identical == runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one by default")
    arguments = parser.parse_args()
    assert train  # imported before the fork
    if arguments.folder is not None:
        return 0 if compare(arguments.folder, arguments.kills, arguments.seed) else 1
    with tempfile.TemporaryDirectory(prefix="kill-and-resume-") as folder:
        return 0 if compare(Path(folder), arguments.kills, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
