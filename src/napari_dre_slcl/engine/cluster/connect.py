"""Reach a Dask cluster: its scheduler, its first worker, and what versions they have."""

from __future__ import annotations

import logging
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from distributed import Client

from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import ClusterChoice
from napari_dre_slcl.untrusted import read_json

__all__ = ["ANSWER_S", "bounded", "connected", "misfits"]

T = TypeVar("T")

CONNECT_S = 15.0
GRACE_S = 5.0
ANSWER_S = 30.0
_ADDRESS = re.compile(r"((tcp|tls|ws|wss)://)?[^\s/:]+:\d+|(tcp|tls)://\[[0-9a-fA-F:]+\]:\d+")
_PACKAGE = "napari-dre-slcl"
_MUST_AGREE = {_PACKAGE: "napari-dre-slcl", "distributed": "Dask (distributed)"}


@contextmanager
def connected(
    choice: ClusterChoice, device: str, reporter: Reporter
) -> Iterator[tuple[Client, Callable[[], None]]]:
    """Connect to the cluster of the user's choice, or start workers here, for a block's length.

    Parameters
    ----------
    choice : ClusterChoice
        Exactly one of scheduler, scheduler file and number of workers.
    device : str
        Of workers that are started here.
    reporter : Reporter
        Told where the dashboard is, and asked whether to stop.

    Yields
    ------
    client : Client
        Connected.
    revive : callable
        Starts workers again that were started here and are gone; does nothing to others.

    Raises
    ------
    JobError
        If no scheduler answers, or no worker comes, in time.
    """
    with ExitStack() as opened:
        opened.enter_context(_silence())
        revive: Callable[[], None] = _nothing
        if choice.workers is not None:
            from napari_dre_slcl.engine.cluster.local import local_cluster

            reporter.progress("Starting workers", 0, choice.workers)
            cluster = opened.enter_context(local_cluster(choice.workers, device))
            address, where = cluster.scheduler_address, "of this machine"
            revive = partial(cluster.scale, choice.workers)
        else:
            address = _address(choice)
            where = f"'{address}'"
        client = opened.enter_context(_client(address, where))
        _wait_for_worker(client, choice.wait_s, where, reporter)
        if choice.workers is not None:
            reporter.progress("Starting workers", choice.workers, choice.workers)
        reporter.log(f"Dask dashboard: {client.dashboard_link}")
        yield client, revive


def _nothing() -> None:
    pass


def bounded(call: Callable[[], T], what: str, seconds: float = ANSWER_S) -> T:
    """Return what a call gives, or raise `JobError` where it does not come back in time.

    Calls of Dask may wait for ever for a scheduler that is connected but does not answer.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            answer.set_exception(error)

    # A daemon: one that hangs must not keep the program from ending.
    threading.Thread(target=run, name="dask-call", daemon=True).start()
    try:
        return answer.result(timeout=seconds)
    except TimeoutError as error:
        raise JobError(f"{what} has not answered for {seconds:g} s.") from error
    except OSError as error:
        reason = str(error).rstrip(".")
        raise JobError(
            f"{what} does not answer any more ({reason}). The same command goes on once it runs "
            "again."
        ) from error


def misfits(client: Client) -> dict[str, str]:
    """Return the workers whose packages differ from those here, each with a sentence.

    Raises
    ------
    JobError
        If the scheduler's differ, or it does not answer.
    """
    found = bounded(
        lambda: client.get_versions(check=False, packages=[_PACKAGE]), "The Dask scheduler"
    )
    here = found["client"]["packages"]
    wrong = _difference(here, (found["scheduler"] or {}).get("packages", {}))
    if wrong:
        raise JobError(
            f"The Dask scheduler {client.scheduler.address} has {wrong}. Start it from the same "
            "environment as this command."
        )
    sentences = {}
    for address, facts in found["workers"].items():
        wrong = _difference(here, (facts or {}).get("packages", {}))
        if wrong:
            sentences[address] = f"The worker {address} has {wrong}."
    return sentences


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Dask's log lines from the terminal: what happens to workers is told in our words."""
    # Its parts have levels of their own.
    names = [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _difference(here: dict[str, str | None], there: dict[str, str | None]) -> str:
    for name, title in _MUST_AGREE.items():
        if there.get(name) != here.get(name):
            version = f"{title} {there[name]}" if there.get(name) else f"no {title}"
            return f"{version}, this process has {here.get(name)}"
    mine, others = (str(side.get("python", "")).split(".")[:2] for side in (here, there))
    return "" if mine == others else f"Python {'.'.join(others)}, this process {'.'.join(mine)}"


def _address(choice: ClusterChoice) -> str:
    if choice.scheduler is not None and choice.scheduler_file is None:
        return choice.scheduler
    if choice.scheduler_file is None or choice.scheduler is not None:
        raise JobError(
            "Name one of --scheduler, --scheduler-file and --workers, they exclude each other."
        )
    return _address_in(choice.scheduler_file)


def _address_in(file: Path) -> str:
    try:
        address = read_json(file)["address"]
    except OSError as error:
        raise JobError(
            f"The scheduler file '{file}' cannot be read: {error.strerror}. Start the scheduler: "
            f"dask scheduler --scheduler-file {file}."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"'{file}' is no file of a Dask scheduler; start one with --scheduler-file {file}."
        ) from error
    return str(address)


@contextmanager
def _client(address: str, where: str) -> Iterator[Client]:
    if not _ADDRESS.fullmatch(address):
        raise JobError(f"{where} is no address of a Dask scheduler, such as tcp://10.0.0.1:8786.")

    def connect() -> Client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # differing versions are told by `misfits`
            return Client(address, timeout=CONNECT_S, set_as_default=False, name="dre-slcl")

    try:
        client = bounded(connect, "The Dask scheduler", CONNECT_S + GRACE_S)
    except JobError as error:
        raise JobError(
            f"No Dask scheduler answers at {where} within {CONNECT_S:g} s. Check that it runs "
            "('dask scheduler') and that this machine may reach its port."
        ) from error
    except (ValueError, TypeError, RuntimeError) as error:
        raise JobError(f"What answers at {where} is no Dask scheduler ({error}).") from error
    try:
        yield client
    finally:
        client.close(timeout=5)


def _wait_for_worker(client: Client, wait_s: float, where: str, reporter: Reporter) -> None:
    end = time.monotonic() + wait_s
    while not bounded(client.nthreads, f"The Dask scheduler {where}"):
        reporter.progress("Waiting for workers", 0, 1, where)
        if time.monotonic() > end:
            raise JobError(
                f"The Dask scheduler {where} has had no worker for {wait_s:g} s. Start some: "
                f"dask worker {client.scheduler.address} --nthreads 1."
            )
        time.sleep(0.2)
