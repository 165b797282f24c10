"""A task in the process of a worker: threads, device, and whether anybody still wants it."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import cache
from typing import Any

import torch
from distributed import Worker, get_worker

from napari_dre_slcl.crash import crash_sentence
from napari_dre_slcl.engine.cluster.order import read_order
from napari_dre_slcl.engine.reporter import Reporter, Stopped
from napari_dre_slcl.engine.slide_work import (
    Outcome,
    SlideItem,
    SlideWork,
    do_part,
    do_slide,
    join_parts,
)
from napari_dre_slcl.jobs.messages import Event, Log

__all__ = ["THREADS", "answer_task"]

THREADS = "DRE_SLCL_WORKER_THREADS"
"""Environment variable of workers that this program starts: threads of the processor for torch."""

_WANTED = ("executing", "long-running", "resumed")


def answer_task(order: str, part: int | None) -> dict[str, Any]:
    """Do what `run_task` asks for; its answer is of plain values.

    Raises
    ------
    Stopped
        If the task was cancelled; nobody hears of it.
    """
    worker = get_worker()
    _stop_profiler(worker)
    _use_threads(int(os.environ.get(THREADS, worker.state.nthreads)))
    work, item = read_order(order)
    said: list[tuple[str, str]] = []

    def keep(event: Event) -> None:
        if isinstance(event, Log):
            said.append((event.level, event.message))

    reporter = Reporter(keep, _Cancelled(worker))
    try:
        outcome = _done(work, item, part, reporter)
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001 - Dask would write its text, and the order, to logs
        sentence = f"the worker stopped on an unexpected {crash_sentence(error)}"
        outcome = Outcome("failed", f"Slide '{item.slide_id}': {sentence}.")
    return asdict(outcome) | {"worker": worker.address, "said": said}


def _done(work: SlideWork, item: SlideItem, part: int | None, reporter: Reporter) -> Outcome:
    if part is None:
        return do_slide(work, item, reporter)
    if part < 0:
        return join_parts(work, item, reporter)
    return do_part(work, item, part, reporter)


@cache
def _use_threads(n_threads: int) -> None:
    """Let torch use what the worker was given; a nanny sets one thread whatever that is."""
    torch.set_num_threads(max(1, n_threads))


def _stop_profiler(worker: Worker) -> None:
    """Stop what Dask looks at the stacks of threads with, a hundred times a second.

    On Python 3.11 it hangs the whole worker where a `threading.local` is collected meanwhile, see
    https://github.com/python/cpython/issues/106883.
    """
    for name in ("profile", "profile-cycle"):
        callback = worker.periodic_callbacks.pop(name, None)
        if callback is not None:
            worker.loop.add_callback(callback.stop)


class _Cancelled:
    """Whether the task that runs in this thread is wanted no longer."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._key = worker.get_current_task()

    def __call__(self) -> bool:
        task = self._worker.state.tasks.get(self._key)
        return task is None or task.state not in _WANTED
