"""Which process of a training this one is, and how all of them meet."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_dre_slcl.config import DreSlclConfig, with_overrides
from napari_dre_slcl.engine.card import Card, told_settings, what_is_wrong
from napari_dre_slcl.engine.children import Children
from napari_dre_slcl.engine.launch import is_first, joined_world
from napari_dre_slcl.engine.meeting import Meeting
from napari_dre_slcl.engine.placement import Place, find_place, placed
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.errors import ConfigError, JobError
from napari_dre_slcl.jobs.messages import ResumeJob, TrainJob

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_WORLD_SIZE": "2",
}
SRUN = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}
HAND = {"MASTER_ADDR": "first", "MASTER_PORT": "29500", "NODE_RANK": "1"}
BATCH_SCRIPT = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}


@pytest.fixture
def start_variables(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that sets what a launcher sets, in an environment without any."""
    for name in os.environ:
        if name.startswith(("SLURM_", "TORCHELASTIC_")) or name in HAND | TORCHRUN:
            monkeypatch.delenv(name)

    def put(**variables: object) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return put


def settings(**changes: int) -> DreSlclConfig:
    return with_overrides(DreSlclConfig(), {f"training.{k}": v for k, v in changes.items()})


def join(
    config: DreSlclConfig, run_dir: Path, should_stop: Callable[[], bool] = lambda: False
) -> None:
    job = TrainJob(cohort=run_dir / "cohort.csv", run_dir=run_dir)
    with joined_world(job, config, Reporter(lambda _event: None, should_stop)):
        pass


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("environ", "asked", "expected"),
    [
        ({}, {}, Place()),
        ({}, {"devices": 3}, Place(0, 3, 0, 3)),
        (BATCH_SCRIPT, {"devices": 2}, Place(0, 2, 0, 2)),
        (TORCHRUN, {}, Place(3, 4, 1, 2, 2, "torchrun")),
        (SRUN, {"devices": 7}, Place(2, 4, 0, 2, 2, "slurm")),
        (SRUN | {"SLURM_JOB_NAME": "bash"}, {}, Place()),
        (HAND, {"devices": 2, "nodes": 3}, Place(2, 6, 0, 2, 3)),
    ],
)
def test_a_process_finds_its_place(
    environ: dict[str, str], asked: dict[str, int], expected: Place
) -> None:
    assert find_place(settings(**asked).training, environ) == expected


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, r"MASTER_ADDR, MASTER_PORT, NODE_RANK not set.*torchrun or srun"),
        (HAND | {"NODE_RANK": "2"}, r"NODE_RANK is 2, and there are 2 machines"),
        (HAND | {"MASTER_PORT": "x"}, r"MASTER_PORT is 'x'"),
        (SRUN | {"SLURM_NTASKS_PER_NODE": "3"}, r"srun --nodes=2 --ntasks-per-node=2"),
        (SRUN | {"SLURM_NTASKS_PER_NODE": "2(x2)"}, r"srun --nodes=2 --ntasks-per-node=2"),
        (SRUN | {"SLURM_STEP_NUM_NODES": "two"}, r"SLURM_STEP_NUM_NODES is 'two'"),
        ({"SLURM_STEP_NUM_TASKS": ""}, r"SLURM_STEP_NUM_TASKS is ''"),
        ({"TORCHELASTIC_RUN_ID": "none"}, r"RANK is 'not set'"),
    ],
)
def test_variables_that_do_not_fit_are_refused(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_place(settings(nodes=2).training, environ)


def test_what_was_asked_for_must_be_what_was_started(
    start_variables: Callable[..., None], tmp_path: Path
) -> None:
    start_variables(**TORCHRUN)
    train = TrainJob(cohort=tmp_path / "cohort.csv", run_dir=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"torchrun has started 2 .* --devices 3 --nodes 1"):
        placed(train, settings(devices=3))
    alone = train.model_copy(update={"overrides": {"training.devices": "1"}})
    with pytest.raises(ConfigError, match=r"--devices 1 --nodes 1 were asked for"):
        placed(alone, settings())
    assert not is_first()
    for config in (settings(), settings(devices=2, nodes=2)):
        found = placed(train, config).training
        assert (found.devices, found.nodes) == (2, 2)


def test_a_resumed_run_may_have_another_number_of_processes(
    start_variables: Callable[..., None], tmp_path: Path
) -> None:
    start_variables(**TORCHRUN)
    before = settings(devices=3)
    assert placed(ResumeJob(run_dir=tmp_path), before).training.devices == 2
    with pytest.raises(ConfigError, match=r"--devices 3 --nodes 2 were asked for"):
        placed(ResumeJob(run_dir=tmp_path, devices=3), before)


def test_several_processes_train_no_other_method(
    start_variables: Callable[..., None], tmp_path: Path
) -> None:
    start_variables()
    config = with_overrides(settings(devices=2), {"method": "mean-pool"})
    with pytest.raises(ConfigError, match=r"'mean-pool' trains in one process, and 2 were asked"):
        join(config, tmp_path)


def test_no_more_processes_than_processors(
    start_variables: Callable[..., None], tmp_path: Path
) -> None:
    start_variables()
    config = with_overrides(settings(devices=256), {"training.device": "cpu"})
    with pytest.raises(ConfigError, match=r"training\.devices=256 was asked for.*to give"):
        join(config, tmp_path)


def test_a_port_that_is_taken(
    start_variables: Callable[..., None], free_port: int, tmp_path: Path
) -> None:
    start_variables(MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port, NODE_RANK=0)
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(JobError, match=rf"Port {free_port} of '127.0.0.1'.*Set MASTER_PORT"),
    ):
        join(settings(nodes=2), tmp_path)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (0, r"Process 2 of 2 has not come to 127\.0\.0\.1:\d+ within 1 s.*DRE_SLCL_JOIN_S"),
        (1, r"does not answer at 127\.0\.0\.1:\d+ within 1 s.*firewall"),
    ],
)
def test_nobody_waits_for_ever(
    node: int,
    message: str,
    start_variables: Callable[..., None],
    free_port: int,
    tmp_path: Path,
) -> None:
    start_variables(
        MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port, NODE_RANK=node, DRE_SLCL_JOIN_S=1
    )
    with pytest.raises(JobError, match=message):
        join(settings(nodes=2), tmp_path)


def test_processes_of_other_versions_are_sent_home() -> None:
    cards = [Card("a", "1.0.0"), Card("a", "1.0.0"), Card("b", "0.9.0")]
    first = Meeting(Place(0, 3, 0, 3), "127.0.0.1", 0)
    others = [Meeting(Place(rank, 3, rank, 3), "127.0.0.1", first.port) for rank in (1, 2)]
    for meeting, card in zip([first, *others], cards, strict=True):
        meeting.say(card)
    problem = what_is_wrong(first.cards(str))
    assert problem.startswith("Process 3 of 3 (on b) has version 0.9.0 of this package")
    with ThreadPoolExecutor(2) as pool:
        heard = [pool.submit(other.verdict) for other in others]
        first.dissolve(problem)
        assert [each.result() for each in heard] == [{"problem": problem}] * 2


def test_processes_of_other_settings_are_sent_home() -> None:
    started = [settings(epochs=3, workers=2), settings(epochs=3, workers=8), settings(epochs=5)]
    cards = [
        Card(host, settings=told_settings(one)) for host, one in zip("abc", started, strict=True)
    ]
    assert what_is_wrong(cards[:2]) == ""
    assert what_is_wrong(cards).startswith(
        "Process 3 of 3 (on c) was started with training.epochs=5, and the first one (on a) with 3."
    )


def test_who_waits_for_others_can_be_cancelled(
    start_variables: Callable[..., None], free_port: int, tmp_path: Path
) -> None:
    start_variables(MASTER_ADDR="127.0.0.1", MASTER_PORT=free_port, NODE_RANK=0, DRE_SLCL_JOIN_S=20)
    with pytest.raises(Stopped):
        join(settings(nodes=2), tmp_path, should_stop=lambda: True)


def test_an_address_that_is_not_the_first_machines(
    start_variables: Callable[..., None],
    free_port: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    start_variables(
        MASTER_ADDR="nobody.invalid", MASTER_PORT=free_port, NODE_RANK=0, DRE_SLCL_JOIN_S=1
    )
    with pytest.raises(JobError, match=r"does not reach itself at nobody\.invalid.*MASTER_ADDR"):
        join(settings(nodes=2), tmp_path)
    assert capfd.readouterr().err == ""  # torch would show its stack


def test_what_torchrun_has_left_over_counts_for_nothing(
    start_variables: Callable[..., None], free_port: int, tmp_path: Path
) -> None:
    start_variables(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=free_port,
        NODE_RANK=0,
        DRE_SLCL_JOIN_S=1,
        TORCHELASTIC_USE_AGENT_STORE=True,
    )
    with pytest.raises(JobError, match=r"Process 2 of 2 has not come"):
        join(settings(nodes=2), tmp_path)
    assert os.environ["TORCHELASTIC_USE_AGENT_STORE"] == "True"


@pytest.mark.skipif(not hasattr(os, "getpgid"), reason="no groups of processes")
def test_ctrl_c_is_for_the_first_process_from_the_start(tmp_path: Path) -> None:
    children = Children(Place(0, 2, 0, 2), tmp_path / "job.json", "127.0.0.1", 1, 1)
    try:
        (child,) = children.processes.values()
        assert os.getpgid(child.pid) != os.getpgrp()
    finally:
        children.end(0.0)


def test_processes_of_torchrun_meet_and_share(tmp_path: Path) -> None:
    folder, other = tmp_path / "run", tmp_path / "elsewhere" / "run"
    folder.mkdir()
    other.mkdir(parents=True)
    script = Path(__file__).with_name("run_joined.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    subprocess.run(
        [*command, str(script), str(folder), str(other)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        timeout=120,
    )
    told = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    for rank, one in enumerate(told):
        assert one["ranks"] == [0, 1]
        assert one["lost"] is None
        assert one["gathered"] == [0, 1, 1]
        assert one["gradient"] == [[0], [1, 2]][rank]
        assert f"does not see the run folder '{other}'" in one["unseen"]
        assert one["is_as_before"]
    assert told[0]["unseen"].startswith("Process 2 of 2: ")
    assert not list(folder.glob(".seen-*"))
