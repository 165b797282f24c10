"""One small training in a process of its own: seconds of each stage, and its peak of memory.

python -m napari_dre_slcl.engine.cost_trial SPEC.json

"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.errors import DreSlclError, JobError
from napari_dre_slcl.jobs.messages import Progress, TrainJob
from napari_dre_slcl.untrusted import read_json

__all__ = ["Trace", "run_trial"]

_CLOCKS: dict[str, Callable[[], float]] = {
    "processor": time.process_time,
    "wall": time.perf_counter,
}
BEGIN, END = "begin", "end"


@dataclass(frozen=True, slots=True)
class Trace:
    """What a training took.

    Parameters
    ----------
    seconds : dict of float
        By stage; ``begin`` is what comes before the first, and ``<stage>, then`` what comes after
        one is done and before the next begins.
    start_bytes, peak_bytes : int
        Memory of the process before the training, and at most; 0 where the system does not tell.
    """

    seconds: dict[str, float]
    start_bytes: int
    peak_bytes: int


def run_trial(job: TrainJob, clock: str, folder: Path) -> Trace:
    """Train in a process of its own.

    Parameters
    ----------
    job : TrainJob
        The training; its run folder must not exist.
    clock : str
        ``wall``, or ``processor`` for processor seconds of all threads, in which others at work on
        the machine do not count.
    folder : Path
        For the files that the two processes pass.

    Raises
    ------
    JobError
        If the training fails; with its sentence.
    """
    spec, out = folder / f"{job.run_dir.name}.json", folder / f"{job.run_dir.name}.trace.json"
    write_json(
        spec, {"job": job.model_dump(mode="json"), "clock": clock, "out": str(out.absolute())}
    )
    command = [sys.executable, "-m", "napari_dre_slcl.engine.cost_trial", str(spec)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise JobError(f"A training to measure this machine with has failed: {last}")
    return Trace(**read_json(out))


class _Stages:
    """Adds up the seconds between events, by the stage that is under way."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stage = BEGIN
        self._since = clock()
        self.seconds: dict[str, float] = {}

    def on_event(self, event: Any) -> None:
        if isinstance(event, Progress):
            self.enter(event.stage if event.done < event.total else f"{event.stage}, then")

    def enter(self, stage: str) -> None:
        now = self._clock()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now


def _memory(name: str) -> int:
    """Return bytes that the kernel tells of this process, 0 where it tells nothing."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines[name].split()[0]) * 1024 if name in lines else 0


def main(spec: Path) -> int:
    """Run the training of a spec file and write its trace; return the exit status."""
    from napari_dre_slcl.engine.train import run_train

    asked = read_json(spec)
    stages, start = _Stages(_CLOCKS[asked["clock"]]), _memory("VmRSS")
    try:
        job = TrainJob.model_validate(asked["job"])
        run_train(job, stages.on_event, should_stop=lambda: False)
    except DreSlclError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    stages.enter(END)
    write_json(Path(asked["out"]), asdict(Trace(stages.seconds, start, _memory("VmHWM"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
