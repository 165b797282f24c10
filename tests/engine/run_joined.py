"""What each process of a world does in `test_launch`; started by torchrun.

run_joined.py FOLDER RUN_OF_RANK_1: join, exchange, gather with gradient, look for the run folder.
"""

import json
import os
import sys
from pathlib import Path

import torch

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.launch import joined_world
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.shared_folder import check_shared_folder
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import TrainJob

folder, other_run = Path(sys.argv[1]), Path(sys.argv[2])
job = TrainJob(cohort=folder / "cohort.csv", run_dir=folder)
reporter = Reporter(lambda _event: None, lambda: False)
config = DreSlclConfig()
with joined_world(job, config, reporter) as world:
    told = {
        "ranks": world.exchange(world.rank),
        "lost": world.watch.lost() if world.watch is not None else None,
    }
    rows = torch.full((world.rank + 1, 2), float(world.rank), requires_grad=True)
    every = world.gather(rows, [1, 2])
    (every * torch.arange(3.0)[:, None]).sum().backward()
    told |= {"gathered": every[:, 0].tolist(), "gradient": rows.grad[:, 0].tolist()}
    check_shared_folder(world, folder)
    try:
        check_shared_folder(world, folder if world.is_main else other_run, within_s=0.2)
    except JobError as error:
        told["unseen"] = str(error)
told["is_as_before"] = "GLOO_SOCKET_IFNAME" not in os.environ
(folder / f"{world.rank}.json").write_text(json.dumps(told), encoding="utf-8")
