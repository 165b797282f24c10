"""The other processes of a training on this machine, where nobody else starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from napari_dre_slcl.engine.placement import SPAWNED, Place

__all__ = ["Children"]

_STRANGERS = ("SLURM_", "TORCHELASTIC_", "PET_")


class Children:
    """Starts them, and ends them.

    They end by themselves when this process is gone, since nobody holds their standard input then.

    Parameters
    ----------
    place : Place
        Of this process, the first one of its machine.
    job : Path
        File of the job that all of them run.
    address, port : str and int
        Where all meet.
    threads : int
        Of the processor, for the computations of each.

    Attributes
    ----------
    processes : dict of int to Popen
        By rank.
    """

    def __init__(self, place: Place, job: Path, address: str, port: int, threads: int) -> None:
        self._place = place
        own = {k: v for k, v in os.environ.items() if not k.startswith(_STRANGERS)}
        shared = {
            SPAWNED: "1",
            "WORLD_SIZE": str(place.size),
            "LOCAL_WORLD_SIZE": str(place.local_size),
            "GROUP_WORLD_SIZE": str(place.nodes),
            "GROUP_RANK": str(place.rank // place.local_size),
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": str(threads),
        }
        self.processes = {
            place.rank + local: subprocess.Popen(
                [sys.executable, "-m", "napari_dre_slcl.engine.rank", str(job)],
                stdin=subprocess.PIPE,  # its end tells the process that this one is gone
                stdout=2,
                process_group=0,  # Ctrl-C is for the first process, also while this one starts
                env=own | shared | {"RANK": str(place.rank + local), "LOCAL_RANK": str(local)},
            )
            for local in range(1, place.local_size)
        }

    def ended(self) -> str:
        """Return the sentence for a process that has ended before the training began."""
        for rank, process in self.processes.items():
            if process.poll() is not None:
                return (
                    f"Process {rank + 1} of {self._place.size} has ended while it started (exit "
                    f"code {process.returncode}). Look at what it has written above."
                )
        return ""

    def end(self, patience_s: float) -> None:
        """Wait so long for their ends, and kill those that do not end."""
        give_up_s = time.monotonic() + patience_s
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, give_up_s - time.monotonic()))
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
