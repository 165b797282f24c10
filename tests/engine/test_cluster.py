"""Slides handed out to workers: done once whatever happens to these, and said plainly if not."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_dre_slcl.engine.cluster import connect, local, lost_tasks, on_worker
from napari_dre_slcl.engine.embed_cohort import run_embed
from napari_dre_slcl.errors import JobError, SlideError
from napari_dre_slcl.jobs.messages import ClusterChoice, EmbedJob, Event, Log, Result

TINY = {"encoder.name": "test_resnet", "encoder.input_px": 32}


@pytest.fixture(scope="module", autouse=True)
def _same_environment() -> Iterator[None]:
    """Take back what Dask sets for the processes that it starts: malloc's bounds, threads."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def table(
    tmp_path_factory: pytest.TempPathFactory,
    make_slide: Callable[..., Path],
    tissue_image: Callable[..., np.ndarray],
) -> Path:
    """Return a cohort table of five slides and of one that nobody sees."""
    folder = tmp_path_factory.mktemp("slides")
    image = tissue_image(768, 1024, (0, 0, 512, 768))
    large = tissue_image(1536, 1536, (0, 0, 1536, 1536))  # takes long enough to be met with
    lines = ["slide,patient_id", "far.tif,p"]
    for number in range(5):
        make_slide(folder / f"s{number}.tif", image=large if number < 2 else image)
        lines.append(f"s{number}.tif,p{number}")
    path = folder / "cohort.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def serial(table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return what one process makes of the slides."""
    out = tmp_path_factory.mktemp("serial")
    run_embed(EmbedJob(out=out, cohort=table, overrides=TINY), lambda event: None, lambda: False)
    return files(out)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.h5")}


def job_on(out: Path, table: Path, **choice: object) -> EmbedJob:
    return EmbedJob(out=out, cohort=table, overrides=TINY, cluster=ClusterChoice(**choice))


@contextmanager
def killing(limits: dict[Path, int]) -> Iterator[set[int]]:
    """Kill each process that holds one of some locks, as often as is said; give the killed."""
    killed: set[int] = set()
    is_over = threading.Event()

    def hunt() -> None:
        left = dict(limits)
        while not is_over.wait(0.001):
            for lock in [lock for lock, times in left.items() if times]:
                with suppress(OSError, ValueError):
                    pid = json.loads(lock.read_text())["pid"]
                    if pid not in killed:
                        os.kill(pid, signal.SIGKILL)
                        killed.add(pid)
                        left[lock] -= 1

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        yield killed
    finally:
        is_over.set()
        hunter.join()


def test_killed_workers_cost_no_slide_and_double_none(
    table: Path, serial: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_DEATHS", 1)
    seen: dict[str, int] = {}
    events: list[Event] = []
    unlucky, deadly = (tmp_path / ".locks" / f"{name}.h5.lock" for name in ("s0", "s1"))

    def look(event: Event) -> None:
        events.append(event)
        for path in tmp_path.glob("*.h5"):
            assert seen.setdefault(path.name, path.stat().st_ino) == path.stat().st_ino

    with killing({unlucky: 1, deadly: 99}) as killed:
        result = run_embed(job_on(tmp_path, table, workers=2), look, lambda: False)
    assert len(killed) == 1 + 2
    assert isinstance(result, Result)
    assert files(tmp_path) == {name: what for name, what in serial.items() if name != "s1.h5"}
    assert result.skipped.keys() == {"far", "s1"}
    assert "None of the 2 workers sees it" in result.skipped["far"]
    assert "1 workers ended while they had it and nothing else" in result.skipped["s1"]
    told = [event.message for event in events if isinstance(event, Log)]
    alone = [text for text in told if "once more after all others, alone" in text]
    assert [sum(f"'{name}'" in text for text in alone) for name in ("s0", "s1")] == [1, 1]
    assert any("dashboard: http://127.0.0.1" in text for text in told)
    assert not [p for p in psutil.Process().children(recursive=True) if p.pid in killed]


@pytest.fixture
def mixed_cluster(tmp_path: Path) -> Iterator[Path]:
    """Start a scheduler with one worker like us and one of another version of the package."""
    file = tmp_path / "scheduler.json"
    facts = tmp_path / "older" / "napari_dre_slcl-0.0.1.dist-info" / "METADATA"
    facts.parent.mkdir(parents=True)
    facts.write_text("Metadata-Version: 2.1\nName: napari-dre-slcl\nVersion: 0.0.1\n")
    older = os.environ | {"PYTHONPATH": str(tmp_path / "older")}
    dask = [sys.executable, "-m", "dask"]
    host = ["--host", "127.0.0.1"]
    worker = [*dask, "worker", "--scheduler-file", str(file), "--no-nanny", "--no-dashboard"]
    worker += ["--nthreads", "1", "--local-directory", str(tmp_path / "scratch"), *host]
    starter = [*dask, "scheduler", "--scheduler-file", str(file), "--port", "0", "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [
        subprocess.Popen([*starter, *host], **quiet),
        subprocess.Popen(worker, **quiet),
        subprocess.Popen(worker, env=older, **quiet),
    ]
    yield file
    for process in started:
        process.kill()
        process.wait()


def wait_for(file: Path, n_workers: int) -> None:
    from distributed import Client

    end = time.monotonic() + 60
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.1)
    with Client(scheduler_file=str(file), set_as_default=False) as client:
        client.wait_for_workers(n_workers, timeout=60)


def test_a_worker_of_another_version_gets_no_work(
    mixed_cluster: Path, table: Path, serial: dict[str, bytes], tmp_path: Path
) -> None:
    wait_for(mixed_cluster, 2)
    events: list[Event] = []
    job = job_on(tmp_path / "out", table, scheduler_file=mixed_cluster)
    run_embed(job, events.append, lambda: False)
    assert files(tmp_path / "out") == serial
    warnings = [e.message for e in events if isinstance(e, Log) and e.level == "warning"]
    (told,) = [text for text in warnings if "gets no work" in text]
    assert "has napari-dre-slcl 0.0.1, this process has" in told


def test_a_task_that_the_scheduler_has_lost_is_begun_again(
    table: Path, serial: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(lost_tasks, "_EVERY_S", 0.5)
    here = {"processes": False, "protocol": "tcp", "dashboard_address": None}
    with LocalCluster(n_workers=1, threads_per_worker=1, **here) as cluster:
        scheduler = cluster.scheduler
        forgotten: list[str] = []
        ends_at = time.monotonic() + 30

        def forget() -> None:
            for client, state in scheduler.clients.items():
                keys = [task.key for task in state.wants_what if task.state == "processing"]
                if keys:
                    forgotten.extend(keys)
                    scheduler.client_releases_keys(keys=keys, client=client, stimulus_id="test")
            if not forgotten:
                cluster.loop.call_later(0.005, forget)

        cluster.loop.add_callback(forget)
        job = job_on(tmp_path, table, scheduler=cluster.scheduler_address)
        result = run_embed(job, lambda event: None, lambda: time.monotonic() > ends_at)
    assert forgotten
    assert isinstance(result, Result)
    assert files(tmp_path) == serial


def test_an_unforeseen_error_tells_no_patient_and_no_key_a_slide(
    table: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from distributed import LocalCluster, get_worker

    keys: list[str] = []

    def fail(*_: object) -> None:
        keys.append(get_worker().get_current_task())
        raise ValueError("could not convert string to float: 'Mustermann'")

    monkeypatch.setattr(on_worker, "do_slide", fail)
    here = {"processes": False, "protocol": "tcp", "dashboard_address": None}
    events: list[Event] = []
    with LocalCluster(n_workers=1, threads_per_worker=1, **here) as cluster:
        job = job_on(tmp_path, table, scheduler=cluster.scheduler_address, retries=0)
        with pytest.raises(SlideError) as told:
            run_embed(job, events.append, lambda: False)
        assert "profile" not in cluster.workers[0].periodic_callbacks  # it may hang its process
    said = f"{told.value} {events}"
    assert "Slide 's0': the worker stopped on an unexpected ValueError" in said
    assert "Mustermann" not in f"{said} {caplog.text}"
    assert len(keys) == 6
    assert not any(name in key for key in keys for name in ("s0", "s1", "far"))


def test_a_port_that_does_not_speak_is_told_in_time(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "CONNECT_S", 0.5)
    monkeypatch.setattr(connect, "GRACE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(JobError, match=f"No Dask scheduler answers at '{address}'"):
            run_embed(job_on(tmp_path, table, scheduler=address), lambda e: None, lambda: False)


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"scheduler": "hello"}, "'hello' is no address of a Dask scheduler"),
        ({"scheduler_file": Path("none.json")}, "'none.json' cannot be read"),
        ({}, "Name one of --scheduler"),
    ],
)
def test_what_is_no_scheduler_is_told(
    table: Path, tmp_path: Path, choice: dict[str, object], reason: str
) -> None:
    with pytest.raises(JobError, match=reason):
        run_embed(job_on(tmp_path, table, **choice), lambda event: None, lambda: False)
