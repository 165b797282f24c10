"""Kill workers while they embed slides, and compare what they made with a serial run.

    python benchmarks/cluster_kills.py --cohort TABLE.csv --model RUN [--kills 10] [--workers 2]

Runs ``dre-slcl embed`` twice: in one process, and with local workers of which one at random gets
SIGKILL now and then. Every file is watched from its first appearance: one that is written a second
time is another file to the system. The last lines count slides that were lost, made twice, or
differ from the serial run; all should be 0.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

COMMAND = [sys.executable, "-m", "napari_dre_slcl", "embed"]


class Watched:
    """The feature files of a folder, each with the number that the system gave it first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.first: dict[str, int] = {}
        self.doubled: set[str] = set()

    def look(self) -> int:
        """Note new files and changed ones; return how many there are."""
        for path in self._folder.glob("*.h5"):
            try:
                number = path.stat().st_ino
            except FileNotFoundError:
                continue
            if self.first.setdefault(path.name, number) != number:
                self.doubled.add(path.name)
        return len(self.first)


def worker_processes(parent: int) -> list[psutil.Process]:
    """Return the workers that a running command has started."""
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        try:
            if "spawn_main" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def run_with_kills(command: list[str], out: Path, total: int, kills: int, seed: int) -> Watched:
    """Run a command; kill a worker each time some more slides are done."""
    draw = random.Random(seed)
    watched = Watched(out)
    due = [round((number + 0.5) * total / kills) for number in range(kills)]
    log = (out.parent / "cluster.log").open("w")
    with subprocess.Popen(command, stdout=log, stderr=log) as running:
        while running.poll() is None:
            n_done = watched.look()
            if due and n_done >= due[0]:
                time.sleep(draw.random())
                workers = worker_processes(running.pid)
                if workers:
                    victim = draw.choice(workers)
                    victim.kill()
                    due.pop(0)
                    print(f"{n_done} of {total} done: killed worker process {victim.pid}")
            time.sleep(0.05)
    watched.look()
    print(f"kills: {kills - len(due)}; exit code {running.returncode}")
    return watched


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.h5")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--part-tiles", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-kills-") as folder:
        serial, cluster = Path(folder, "serial"), Path(folder, "cluster")
        common = ["--cohort", str(options.cohort), "--model", str(options.model)]
        begun = time.monotonic()
        subprocess.run([*COMMAND, *common, "--out", str(serial)], check=True, capture_output=True)
        print(f"serial run: {time.monotonic() - begun:.0f} s")
        wanted = hashes(serial)
        extra = ["--workers", str(options.workers), "--part-tiles", str(options.part_tiles)]
        begun = time.monotonic()
        watched = run_with_kills(
            [*COMMAND, *common, "--out", str(cluster), *extra],
            cluster,
            len(wanted),
            options.kills,
            options.seed,
        )
        print(f"with {options.workers} workers and the kills: {time.monotonic() - begun:.0f} s")
        found = hashes(cluster)
        differ = [name for name in found if found[name] != wanted.get(name)]
        print((cluster.parent / "cluster.log").read_text()[-3000:])
        print(
            f"slides {len(wanted)}, lost {len(wanted.keys() - found.keys())}, "
            f"made twice {len(watched.doubled)}, differ {len(differ)}"
        )
        leftovers = [p.name for p in cluster.iterdir() if p.name in (".locks", ".parts")]
        print(f"locks and parts left behind: {leftovers or 'none'}")
        return int(found != wanted or bool(watched.doubled))


if __name__ == "__main__":
    sys.exit(main())
