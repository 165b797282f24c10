"""Steps that run out of memory, by real allocators with real limits."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_dre_slcl.engine.fresh_tiles import FreshTileBudget
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.engine.step import StepTaker
from napari_dre_slcl.engine.train import run_resume, run_train
from napari_dre_slcl.jobs.messages import Cancelled, Log, Metric, Result, ResumeJob, TrainJob
from napari_dre_slcl.methods.dre_slcl import Clock
from napari_dre_slcl.methods.slide_batch import SlideBatch

MIB = 2**20


def _batch(n_fresh: int, n_few: int = 1) -> SlideBatch:
    """Return a batch of a slide with `n_fresh` tiles and one with fewer; a pixel tells which."""
    fresh = (torch.arange(n_fresh) * 7, torch.arange(n_few) + 100)
    tiles = torch.cat(fresh).to(torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 2, 2, 3)
    return SlideBatch((3, 5), fresh, tiles)


def _budget(fresh_tiles: int, is_halved: bool = False) -> tuple[FreshTileBudget, list[str]]:
    said: list[str] = []

    def keep(event: object) -> None:
        assert isinstance(event, Log)
        assert event.level == "warning"
        said.append(event.message)

    return FreshTileBudget(fresh_tiles, Reporter(keep, lambda: False), is_halved), said


def _in_a_small_process(fresh: int, is_halved: bool, room_mib: int, n_steps: int) -> dict[str, Any]:
    """Take steps that want 1000 MiB a tile where only so much may be mapped."""
    if not sys.platform.startswith("linux"):
        pytest.skip("the limit on address space holds on Linux only")
    script = Path(__file__).with_name("run_hungry_steps.py")
    arguments = [fresh, int(is_halved), room_mib, n_steps]
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _hungry(mib_per_tile: int, device: str = "cpu") -> Callable[[SlideBatch], SlideBatch]:
    def take(batch: SlideBatch) -> SlideBatch:
        held = [torch.empty(mib_per_tile * MIB, dtype=torch.uint8, device=device)]
        for _ in range(len(batch.tiles) - 1):
            held.append(torch.empty_like(held[0]))
        assert len(held) == len(batch.tiles)
        return batch

    return take


def test_a_slide_of_one_tile_has_no_views_in_any_process() -> None:
    batches = [_batch(3), SlideBatch((), (), torch.empty(0))]
    budget, _ = _budget(1, is_halved=True)
    for batch in batches:
        told = replace(batch, of_ranks=((3, 5), ()), viewed=((3,), ()))
        assert budget.run(lambda cut: cut, told).viewed == ((), ())
        assert budget.run(lambda cut: cut, batch).viewed == ()


def test_a_step_that_fits_is_left_alone() -> None:
    budget, said = _budget(8)
    batch = _batch(8)
    assert budget.run(_hungry(1), batch) is batch
    assert (budget.fresh_tiles, budget.is_halved, said) == (8, False, [])


def test_without_memory_fresh_tiles_are_halved_for_the_rest_of_the_run_and_it_goes_on() -> None:
    # 9 tiles do not fit, 5 do; the second batch was drawn before the halving.
    answer = _in_a_small_process(8, False, room_mib=7000, n_steps=2)
    assert answer["error"] == ""
    assert answer["fresh"] == [[[0, 7, 14, 21], [100]]] * 2
    assert answer["tiles"] == [[0, 7, 14, 21, 100]] * 2
    assert answer["slides"] == [[3, 5]] * 2
    assert answer["budget"] == [4, True]
    assert len(answer["said"]) == 1
    assert answer["said"][0].startswith(
        "Memory ran out in a step of 8 fresh tiles a slide; training goes on with 4."
    )


@pytest.mark.parametrize(("fresh", "is_halved"), [(8, False), (4, True), (1, False)])
def test_memory_that_runs_out_again_ends_the_run_with_a_sentence(
    fresh: int, is_halved: bool
) -> None:
    answer = _in_a_small_process(fresh, is_halved, room_mib=300, n_steps=1)
    assert answer["fresh"] == []
    assert answer["error"].startswith("Training stopped because memory ran out")
    assert "lower training.fresh_tiles" in answer["error"]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_all_kinds_of_missing_memory_count(error: Exception) -> None:
    budget, said = _budget(8)

    def take(batch: SlideBatch) -> int:
        if len(batch.fresh[0]) > 4:
            raise error
        return len(batch.tiles)

    assert budget.run(take, _batch(8)) == 5
    assert len(said) == 1


def test_other_errors_are_not_taken_for_missing_memory() -> None:
    budget, said = _budget(8)

    def take(batch: SlideBatch) -> torch.Tensor:
        return torch.ones(2, 3) @ torch.ones(2, 3)

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        budget.run(take, _batch(8))
    assert (budget.fresh_tiles, said) == (8, [])


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory run out from the fourth step on, if a slide has more than one fresh tile."""
    take = StepTaker.take

    def take_or_run_out(self: StepTaker, batch: SlideBatch, step: int, clock: Clock) -> object:
        if step > 3 and max(len(tiles) for tiles in batch.fresh) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return take(self, batch, step, clock)

    monkeypatch.setattr(StepTaker, "take", take_or_run_out)


@pytest.mark.usefixtures("small_machine")
def test_a_run_goes_on_with_half_the_fresh_tiles_and_so_it_does_when_resumed(
    train_job: Callable[..., TrainJob],
) -> None:
    whole, broken = (
        train_job(name, **{"training.epochs": 4, "training.preflight": False})
        for name in ("whole", "broken")
    )
    events: list[object] = []
    assert isinstance(run_train(whole, events.append, lambda: False), Result)
    said = [event.message for event in events if isinstance(event, Log)]
    assert sum(sentence.startswith("Memory ran out in a step of 3") for sentence in said) == 1

    def stop_in_the_third_epoch() -> bool:
        return any(isinstance(event, Metric) and event.step == 2 for event in heard)

    heard: list[object] = []
    assert isinstance(run_train(broken, heard.append, stop_in_the_third_epoch), Cancelled)
    resumed = run_resume(ResumeJob(run_dir=broken.run_dir), heard.append, lambda: False)
    assert isinstance(resumed, Result)
    for name in ("losses.csv", "model/model.safetensors"):
        assert (broken.run_dir / name).read_bytes() == (whole.run_dir / name).read_bytes()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_full_gpu_halves_the_fresh_tiles() -> None:
    budget, said = _budget(8)
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(700 * MIB / whole)
    try:
        taken = budget.run(_hungry(100, "cuda"), _batch(8))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert [len(tiles) for tiles in taken.fresh] == [4, 1]
    assert len(said) == 1
