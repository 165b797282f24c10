"""Small parts of the loop: learning rates, averaged weights, best weights, the table of losses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from napari_dre_slcl.engine.best_weights import BestWeights
from napari_dre_slcl.engine.checkpoint import (
    TrainedParts,
    optimiser_state,
    optimiser_tensors,
    read_state,
)
from napari_dre_slcl.engine.checkpoint_files import (
    CheckpointWriter,
    latest_checkpoint,
    read_tensors,
    remove_checkpoints,
    remove_other_checkpoints,
)
from napari_dre_slcl.engine.loss_table import LossTable
from napari_dre_slcl.engine.run_state import RunState
from napari_dre_slcl.engine.schedule import RateSchedule
from napari_dre_slcl.engine.weight_average import WeightAverage
from napari_dre_slcl.errors import JobError


def test_the_rate_rises_in_a_line_and_falls_in_half_a_cosine() -> None:
    schedule = RateSchedule((1.0,), warmup_steps=4, total_steps=100)
    assert [schedule.factor(step) for step in range(3)] == pytest.approx(
        [0.25, 0.5 * 0.99975, 0.75 * 0.99901], rel=1e-4
    )
    assert schedule.factor(50) == pytest.approx(0.5)
    assert schedule.factor(100) == pytest.approx(0, abs=1e-12)


def test_each_group_keeps_its_own_rate() -> None:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in (0.1, 0.2)]
    optimiser = torch.optim.AdamW(groups)
    schedule = RateSchedule.of(optimiser, warmup_steps=0, total_steps=2)
    schedule.apply(optimiser, 1)
    schedule.apply(optimiser, 1)  # depends on the step alone, not on what was set before
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.05, 0.1])


def test_the_average_follows_weights_slowly_and_buffers_at_once() -> None:
    net = nn.BatchNorm1d(1)
    average = WeightAverage(net, decay=0.9)
    with torch.no_grad():
        net.weight.fill_(2.0)
        net.running_mean.fill_(5.0)
    average.update(net, step=10**6)
    assert float(average.net.weight) == pytest.approx(1 + 0.1)
    assert float(average.net.running_mean) == 5.0
    average.update(net, step=1)  # early steps forget the start sooner
    assert float(average.net.weight) == pytest.approx(1.1 + (1 - 2 / 11) * 0.9)


def test_the_best_weights_come_back_and_patience_runs_out(tmp_path: Path) -> None:
    best = BestWeights(tmp_path, patience=2)
    net, state = nn.Linear(1, 1), RunState()
    over = []
    for score in (0.5, 0.8, 0.8, 0.7):
        with torch.no_grad():
            net.weight.fill_(score * 10 + state.epoch)
        state.found = {"val/auc/a": score - 0.1, "val/auc/b": score + 0.1}
        best.consider(state, net)
        state.begin_epoch()
        over.append(best.is_over(state))
    assert over == [False, False, False, True]
    best.restore(state, net)
    assert net.weight.item() == 8 + 2
    # The one before is kept until a checkpoint names the new one.
    names = sorted(path.name for path in (tmp_path / "best").iterdir())
    assert names == ["epoch-00001.safetensors", "epoch-00002.safetensors"]


def test_without_patience_the_last_weights_stay(tmp_path: Path) -> None:
    best, state, net = BestWeights(tmp_path, patience=0), RunState(), nn.Linear(1, 1)
    state.found = {"val/auc/a": 0.9}
    best.consider(state, net)
    assert state.best is None
    assert list(tmp_path.iterdir()) == []


def test_the_table_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "losses.csv"
    table = LossTable(path, ["loss", "loss/a"])
    for step in (1, 2, 3):
        table.add(step, 1, {"loss": step / 3, "loss/a": 0.5} if step != 2 else {"loss": 1.0})
    table.close()
    with path.open("a") as stream:
        stream.write("4,1,0.2")  # a line that was cut by the end of the process
    table = LossTable(path, ["loss", "loss/a"], last_step=2)
    table.add(3, 1, {"loss": 9.0, "loss/a": 9.0})
    table.close()
    assert path.read_text().splitlines() == [
        "step,epoch,loss,loss/a",
        f"1,1,{1 / 3!r},0.5",
        "2,1,1.0,",
        "3,1,9.0,9.0",
    ]


def test_a_fused_optimiser_goes_on_alike_whatever_the_layout_of_a_weight() -> None:
    def make() -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        torch.manual_seed(0)
        conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        return conv, torch.optim.AdamW(conv.parameters(), lr=0.1, fused=True)

    def step(conv: nn.Conv2d, optimiser: torch.optim.Optimizer, seed: int) -> None:
        optimiser.zero_grad()
        torch.manual_seed(seed)
        conv(torch.randn(2, 3, 5, 5)).square().sum().backward()
        optimiser.step()

    conv, optimiser = make()
    step(conv, optimiser, 1)
    tensors = {
        name: value.contiguous()
        for name, value in optimiser_tensors(optimiser.state_dict()).items()
    }
    again, other = make()
    again.load_state_dict({name: value.clone() for name, value in conv.state_dict().items()})
    other.load_state_dict(optimiser_state(other.state_dict(), load(save(tensors))))
    for one, its_optimiser in ((conv, optimiser), (again, other)):
        step(one, its_optimiser, 2)
        step(one, its_optimiser, 3)
    assert torch.equal(conv.weight, again.weight)
    assert torch.equal(conv.bias, again.bias)


def _write(parent: Path, name: str, tensors: dict[str, dict], serial: int) -> Path:
    writer = CheckpointWriter(parent, serial)
    try:
        writer.begin()
        writer.write(tensors)
        return writer.finish(name, json.dumps({"serial": serial}))
    finally:
        writer.discard()


def test_the_newest_whole_checkpoint_counts_whatever_its_name(tmp_path: Path) -> None:
    weights = {"model": {"w": torch.arange(3.0)}}
    _write(tmp_path, "step-2", weights, 1)
    newest = _write(tmp_path, "step-1", weights, 2)
    (tmp_path / ".part-x").mkdir()
    (tmp_path / ".part-x" / "state.json").write_text(json.dumps({"serial": 3}))
    (tmp_path / "step-9").mkdir()
    assert latest_checkpoint(tmp_path) == newest
    assert torch.equal(read_tensors(newest / "model.safetensors")["w"], torch.arange(3.0))
    remove_other_checkpoints(tmp_path, keep=newest)
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_a_checkpoint_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    before = _write(tmp_path, "step-1", {}, 1)
    with pytest.raises(OSError, match="not empty"):
        _write(tmp_path, "step-1", {}, 2)
    assert latest_checkpoint(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_what_a_state_keeps_it_gives_back() -> None:
    state = RunState(version="1")
    state.add_losses({"loss": 0.1 + 0.2})
    state.add_losses({"loss": 0.3, "loss/a": float("inf")})
    again = RunState.model_validate_json(state.model_dump_json())
    assert again == state
    assert again.mean_losses() == {"loss": (0.1 + 0.2 + 0.3) / 2, "loss/a": float("inf")}


def test_the_scale_of_an_fp16_loss_goes_on() -> None:
    def parts() -> TrainedParts:
        net = nn.Linear(2, 1)
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=3)
        return TrainedParts(net, torch.optim.SGD(net.parameters(), lr=0.1), scaler)

    def step(trained: TrainedParts) -> float:
        trained.scaler.scale(trained.net(torch.ones(1, 2)).sum()).backward()
        trained.scaler.step(trained.optimiser)
        trained.scaler.update()
        return trained.scaler.get_scale()

    first, again = parts(), parts()
    assert [step(first), step(first)] == [8.0, 8.0]
    files = {name: load(save(dict(tensors))) for name, tensors in first.tensors().items()}
    again.load(files.__getitem__)
    assert step(again) == 16.0  # its third step without a gradient too large


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"phase": "train"}'])
def test_a_damaged_state_is_told_and_never_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "checkpoints/step-00000002").mkdir(parents=True)
    (tmp_path / "checkpoints/step-00000002/state.json").write_text(text)
    with pytest.raises(JobError, match=r"step-00000002' is damaged: its state\.json cannot be"):
        read_state(tmp_path)


def test_a_checkpoint_of_a_later_version_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoints/step-00000002").mkdir(parents=True)
    state = '{"serial": 2, "moon": "full"}'
    (tmp_path / "checkpoints/step-00000002/state.json").write_text(state)
    with pytest.raises(JobError, match="is not of this version of the package"):
        read_state(tmp_path)


def test_unfinished_checkpoints_make_room_before_the_next_is_written(tmp_path: Path) -> None:
    (tmp_path / ".part-killed").mkdir()
    _write(tmp_path, "step-1", {"model": {"a": torch.zeros(1)}}, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]
    remove_checkpoints(tmp_path)
    assert not tmp_path.exists()


@pytest.mark.parametrize("rest", [b"\0\0\0\n2,1,0.5\n", b"2,1", b"later\n"])
def test_the_table_is_cut_where_a_power_cut_left_it(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "losses.csv"
    path.write_bytes(b"step,epoch,loss\n1,1,0.5\n" + rest)
    table = LossTable(path, ["loss"], last_step=2)
    table.add(3, 1, {"loss": 0.25})
    table.close()
    assert path.read_text().splitlines() == ["step,epoch,loss", "1,1,0.5", "3,1,0.25"]
