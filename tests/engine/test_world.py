"""What processes of one training pass to each other, between three real ones."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys
from datetime import timedelta
import torch, torch.distributed as dist
from napari_dre_slcl.engine.fresh_tiles import is_out_of_memory
from napari_dre_slcl.engine.world import World
from napari_dre_slcl.errors import ConfigError, DreSlclError

rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size,
                        timeout=timedelta(seconds=60))
world = World(rank, size, control=dist.new_group(backend="gloo"))
told = {}
told["exchange"] = world.exchange({"rank": rank, "text": "\\u00e4" * rank * 1000})
told["from_main"] = world.from_main([rank])
told["any"] = [world.any(rank == 2), world.any(False)]

# A net of two parts around the gathering: own rows, then all rows.
torch.manual_seed(0)
before, after, unused = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2), torch.nn.Linear(2, 2)
counts = [2, 0, 3]
rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
own = rows.split(counts)[rank]
out = after(world.gather(before(own), counts))
loss = (out.softmax(1) ** 2 @ torch.tensor([1.0, 3.0])).pow(2).mean()
loss.backward()
weights = [*before.parameters(), *after.parameters(), *unused.parameters()]
world.add_gradients(weights, list(after.parameters()))
told["gradients"] = [None if w.grad is None else w.grad.flatten().tolist() for w in weights]
told["loss"] = loss.item()

# Memory runs out in one of them before anything travels: all hear of it, and none waits.
weight = torch.nn.Parameter(torch.zeros(10_000_000))
weight.grad = torch.ones_like(weight)
rows = torch.ones(1, 5_000_000, requires_grad=True)


class Elsewhere(Exception):
    pass


def check():
    if world.any(False):
        raise Elsewhere


def in_little_memory(work):
    limits = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    if rank == 1:
        resource.setrlimit(resource.RLIMIT_AS, (mapped + 2**25, limits[1]))
    try:
        work()
    except Elsewhere:
        return "elsewhere"
    except RuntimeError as error:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        world.any(True)
        return "here" if is_out_of_memory(error) else str(error)
    return "nowhere"


if sys.platform == "linux":
    told["ran_out"] = [
        in_little_memory(lambda: world.add_gradients([weight], [], check)),
        in_little_memory(lambda: world.gather(rows, [1, 1, 1], check)),
    ]

torch.manual_seed(rank)
part = torch.nn.BatchNorm1d(2)
torch.nn.init.normal_(part.weight)
world.copy_from_main(part)
told["copied"] = part.weight.tolist()

figures = [torch.full((2, 2), float(rank)), torch.full((3,), 10.0 * rank)]
world.average(figures, [1.0, 0.0, 3.0][rank])
told["averaged"] = [figure.flatten().tolist() for figure in figures]
world.average(figures, 0.0)
told["kept"] = [figure.flatten().tolist() for figure in figures]


def fail():
    if rank == 1:
        raise ConfigError("No such thing.")
    return rank

for call in (lambda: world.all_do(fail), lambda: world.wait("Disk full." if rank == 2 else ""),
             lambda: world.main_does(lambda: (_ for _ in ()).throw(ConfigError("Not here.")))):
    try:
        call()
    except DreSlclError as error:
        told.setdefault("errors", []).append([type(error).__name__, str(error)])
told["answer"] = world.main_does(lambda: {"a": rank})
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Return what each of three processes has found."""
    folder = tmp_path_factory.mktemp("world")
    script = folder / "script.py"
    script.write_text(SCRIPT)
    children = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), "3", str(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    return [json.loads(child.communicate(timeout=120)[0]) for child in children]


def test_messages_reach_all_in_order(told: list[dict]) -> None:
    for one in told:
        assert [message["rank"] for message in one["exchange"]] == [0, 1, 2]
        assert one["exchange"][2]["text"] == "ä" * 2000
        assert one["from_main"] == [0]
        assert one["any"] == [True, False]
        assert one["answer"] == {"a": 0}


def test_gradients_are_those_of_one_process(told: list[dict]) -> None:
    import torch

    torch.manual_seed(0)
    before, after, unused = torch.nn.Linear(3, 4), torch.nn.Linear(4, 2), torch.nn.Linear(2, 2)
    rows = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    loss = (after(before(rows)).softmax(1) ** 2 @ torch.tensor([1.0, 3.0])).pow(2).mean()
    loss.backward()
    for one in told:
        assert one["loss"] == pytest.approx(loss.item(), rel=1e-6)
        *expected, _, _ = [*before.parameters(), *after.parameters(), *unused.parameters()]
        for found, weight in zip(one["gradients"], expected, strict=False):
            torch.testing.assert_close(torch.tensor(found), weight.grad.flatten())
        assert one["gradients"][-2:] == [None, None]
        assert one["gradients"] == told[0]["gradients"]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory holds on Linux only")
def test_memory_that_runs_out_in_one_leaves_nobody_waiting(told: list[dict]) -> None:
    assert [one["ran_out"] for one in told] == [["elsewhere"] * 2, ["here"] * 2, ["elsewhere"] * 2]


def test_weights_are_those_of_the_first(told: list[dict]) -> None:
    assert told[0]["copied"] == told[1]["copied"] == told[2]["copied"]


def test_means_are_of_all_by_their_weight(told: list[dict]) -> None:
    for one in told:
        assert one["averaged"] == one["kept"] == [[1.5] * 4, [15.0] * 3]


def test_one_with_a_problem_ends_all_with_its_sentence(told: list[dict]) -> None:
    assert told[1]["errors"][0] == ["ConfigError", "No such thing."]
    assert told[0]["errors"][0] == ["JobError", "Process 2 of 3: No such thing."]
    assert told[2]["errors"][1] == ["JobError", "Disk full."]
    assert told[0]["errors"][1] == ["JobError", "Process 3 of 3: Disk full."]
    assert told[0]["errors"][2] == ["ConfigError", "Not here."]
    assert told[2]["errors"][2] == ["JobError", "Not here."]
