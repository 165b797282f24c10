"""Child of test_sharded_bank: trains a bank in several processes, and kills some of them.

``python run_bank_ranks.py FOLDER PLANS`` takes JSON: by name of a run folder its parts, each
``{"size": N, "until": STEP, "kill": [RANK, EVENT] or null}``. It forks the processes of one part
after the other and prints their exit codes in the same form. An event is a flush, or a meeting of
all processes; the killed rank does not live to do it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_dre_slcl.engine.checkpoint import Checkpoints, TrainedParts, read_state
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.shards import shard_ranges
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.model.codebook import assign_codewords
from napari_dre_slcl.model.memory_bank import MemoryBank

# Features of six blocks of a file: each process has blocks of its own, and shares others.
COUNTS = [8_000, 200, 7_000, 3, 6_000, 3_000]
DIM, K = 64, 4
REFILL_AT, EVERY = 3, 2
LOST, LONGEST_S = 3, 120.0


def numbers(*key: int, shape: tuple[int, ...]) -> Tensor:
    """Return random numbers that depend on the key alone."""
    return torch.from_numpy(np.random.default_rng(key).standard_normal(shape, dtype=np.float32))


def encode_all(bank: MemoryBank, tag: str, step: int) -> None:
    """Fill a generation and index it."""
    bank.begin_generation(tag, step)
    for slide in bank.owned:
        for tiles in torch.arange(COUNTS[slide]).split(8192):
            if len(set(tiles.tolist()) & set(bank.missing(slide).tolist())):
                shape = (len(tiles), DIM)
                bank.fill(slide, tiles, numbers(step, slide, int(tiles[0]), shape=shape))
    bank.commit_generation()
    codewords = numbers(step, shape=(K, DIM)) * 0.1
    bank.index(assign_by(codewords), codewords)


def assign_by(codewords: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return what gives features their codewords and weights."""
    return lambda found: (assign_codewords(found, codewords.to(found)), 1 + found[:, 0].exp())


def renew(bank: MemoryBank, codewords: Tensor, step: int) -> None:
    """Write some rows of three slides, each of them by its owner."""
    for slide in np.random.default_rng(step).permutation(len(COUNTS))[:3].tolist():
        if slide in bank.owned:
            n = min(40, COUNTS[slide])
            tiles = torch.from_numpy(
                np.random.default_rng([step, slide]).permutation(COUNTS[slide])
            )
            rows = bank.rows(slide, tiles[:n])
            stored = bank.blended(rows, numbers(9, step, slide, shape=(n, DIM)))
            bank.write_rows(rows, stored, *assign_by(codewords)(stored), step)


def new_parts() -> TrainedParts:
    """Return a network that is always the same, and what trains it."""
    net = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(net.weight)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    return TrainedParts(net, optimiser, torch.amp.GradScaler(enabled=False))


def train(run_dir: Path, world: World, until: int) -> None:
    """Go on from the newest checkpoint to a step."""
    state = read_state(run_dir) or RunState(phase="fill")
    owned = shard_ranges(COUNTS, world.size)[world.rank]
    bank = MemoryBank(
        COUNTS, DIM, K, folder=run_dir / "bank", dtype=torch.float64, owned=owned, team=world
    )
    parts = new_parts()
    checkpoints = Checkpoints(run_dir, world)
    if state.phase == "fill":
        encode_all(bank, "start", 0)
        state.phase = "train"
        checkpoints.save(state, parts, bank)
    else:
        checkpoints.restore(parts, bank)
    while state.step < until:
        if state.step == REFILL_AT:
            encode_all(bank, "refill", state.step)
        began = REFILL_AT if state.step >= REFILL_AT else 0
        renew(bank, numbers(began, shape=(K, DIM)) * 0.1, state.step)
        with torch.no_grad():
            parts.net.weight += state.step
        state.step += 1
        if state.step % EVERY == 0 or state.step == until:
            checkpoints.save(state, parts, bank)
    (run_dir / f"tally-{world.rank}.json").write_text(json.dumps(bank.tally(until, REFILL_AT)))


def kill_at(event: int) -> None:
    """Kill this process in place of its n-th flush or meeting."""
    seen = 0

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def count(*args: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*args, **options)

        return count

    os.fsync = counted(os.fsync)
    np.memmap.flush = counted(np.memmap.flush)  # type: ignore[method-assign]
    World.exchange = counted(World.exchange)  # type: ignore[method-assign]


def be_rank(folder: Path, part: dict[str, Any], rank: int, store: Path) -> int:
    """Be one process of a part; return its exit code."""
    torch.set_num_threads(1)
    if part["size"] > 1:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=rank,
            world_size=part["size"],
            timeout=timedelta(seconds=LONGEST_S),
        )
    if part["kill"] and part["kill"][0] == rank:
        kill_at(part["kill"][1])
    try:
        train(folder, World(rank, part["size"]), part["until"])
    except JobError as error:
        print(f"process {rank}: {error}", file=sys.stderr)
        return LOST
    return 0


def fork_all(folder: Path, part: dict[str, Any], store: Path) -> list[int]:
    """Run the processes of a part; return their exit codes, -9 for a killed one."""
    children = []
    for rank in range(part["size"]):
        child = os.fork()
        if not child:
            try:
                os._exit(be_rank(folder, part, rank, store))
            finally:  # whatever went wrong, this must not go on as its parent
                traceback.print_exc()
                os._exit(1)
        children.append(child)
    codes: dict[int, int] = {}
    until = time.monotonic() + LONGEST_S
    while len(codes) < len(children) and time.monotonic() < until:
        for child in children:
            if child not in codes and (ended := os.waitpid(child, os.WNOHANG))[0]:
                codes[child] = os.waitstatus_to_exitcode(ended[1])
        time.sleep(0.01)
    for child in children:
        if child not in codes:
            os.kill(child, signal.SIGKILL)
    return [codes.get(child, 99) for child in children]


def main() -> None:
    """Carry out the plans."""
    new_parts()  # imports what would else be imported in every fork
    parent = Path(sys.argv[1])
    codes: dict[str, list[list[int]]] = {}
    for name, plan in json.loads(sys.argv[2]).items():
        (parent / name).mkdir()
        codes[name] = [
            fork_all(parent / name, part, parent / f"{name}-store-{number}")
            for number, part in enumerate(plan)
        ]
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
