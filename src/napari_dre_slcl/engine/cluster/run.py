"""Hand slides out to workers until all are done, whatever happens to the workers."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from distributed import Client, Future, KilledWorker

from napari_dre_slcl._version import __version__
from napari_dre_slcl.crash import crash_sentence
from napari_dre_slcl.engine.cluster.connect import ANSWER_S, bounded, connected, misfits
from napari_dre_slcl.engine.cluster.lost_tasks import LostTasks
from napari_dre_slcl.engine.cluster.order import write_order
from napari_dre_slcl.engine.cluster.tasks import run_task
from napari_dre_slcl.engine.cluster.view import ClusterView
from napari_dre_slcl.engine.cluster.work_queue import JOIN, Step, WorkQueue
from napari_dre_slcl.engine.many_slides import Tally
from napari_dre_slcl.engine.reporter import OnEvent, Reporter
from napari_dre_slcl.engine.slide_work import Outcome, SlideItem, SlideWork
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.jobs.messages import ClusterChoice

__all__ = ["do_on_cluster"]

_LOOK_EVERY_S = 1.0
_TICK_S = 0.25
_TASKS_PER_WORKER = 2
"""One encodes while the tissue of the next is found, where a worker has threads for two."""


def do_on_cluster(
    work: SlideWork,
    items: Sequence[SlideItem],
    choice: ClusterChoice,
    reporter: Reporter,
    on_event: OnEvent,
    tally: Tally,
) -> None:
    """Do slides on a cluster; parameters as of `do_all`.

    Raises
    ------
    JobError
        If the scheduler does not answer, no worker comes or stays, or none of them can do the
        work.
    Stopped
        If the user wants it.
    """
    with connected(choice, work.device, reporter) as (client, revive):
        _HandOut(client, work, items, choice, reporter, on_event, tally).run(revive)


class _HandOut:
    """The running work: what is with which worker, and what comes back."""

    def __init__(
        self,
        client: Client,
        work: SlideWork,
        items: Sequence[SlideItem],
        choice: ClusterChoice,
        reporter: Reporter,
        on_event: OnEvent,
        tally: Tally,
    ) -> None:
        self._client = client
        self._work = work
        self._choice = choice
        self._reporter = reporter
        self._tally = tally
        self._total = len(tally) + len(items)
        self._queue = WorkQueue(sorted(items, key=_size, reverse=True))
        self._running: dict[Future, Step] = {}
        self._ended: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._workers: dict[str, int] = {}
        self._unfit: dict[str, str] = {}
        self._looked_at = 0.0
        self._manned_at = time.monotonic()
        self._token = uuid.uuid4().hex[:8]
        self._n_tasks = 0
        self._view = ClusterView(client, on_event)
        self._lost = LostTasks(client)

    def run(self, revive: Callable[[], None]) -> None:
        """Do everything."""
        for address, sentence in misfits(self._client).items():
            self._note_unfit(address, sentence)
        try:
            while self._queue or self._running:
                self._look(revive)
                self._fill()
                self._take()
                self._begin_lost_again()
                self._tell()
        finally:
            if self._running:
                self._client.cancel(list(self._running), force=True)

    def _look(self, revive: Callable[[], None]) -> None:
        """See which workers there are."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        self._workers = bounded(self._client.nthreads, "The Dask scheduler")
        revive()
        if self._workers:
            self._manned_at = now
        elif now - self._manned_at > self._choice.wait_s:
            raise JobError(
                f"The cluster has had no worker for {self._choice.wait_s:g} s. The same command "
                "goes on once there are workers."
            )
        self._check_fit()

    def _check_fit(self) -> None:
        if self._workers and not self._fit():
            reasons = dict.fromkeys(self._unfit[address] for address in self._workers)
            raise JobError(f"No worker can do the work. {' '.join(reasons)}")

    def _fit(self) -> set[str]:
        return set(self._workers) - set(self._unfit)

    def _fill(self) -> None:
        """Give workers something to do, but nothing to wait with.

        A task that waits at a worker would be blamed for the worker's end.
        """
        fit = self._fit()
        slots = sum(min(self._workers[address], _TASKS_PER_WORKER) for address in fit)
        while len(self._running) < slots:
            step = self._queue.next(is_idle=not self._running)
            if step is None:
                return
            self._submit(step, self._queue.fit_workers(step, fit) or fit)

    def _submit(self, step: Step, workers: set[str]) -> None:
        item = step.slide.item
        self._n_tasks += 1
        is_restricted = workers != set(self._workers)
        what = {None: "slide", JOIN: "join"}.get(step.part, f"part_{step.part}")
        future = self._client.submit(
            run_task,
            __version__,
            write_order(self._work, item),
            step.part,
            # Whoever may look at the dashboard reads it, so it says nothing of the slide.
            key=f"{what}-{self._token}{self._n_tasks:06}",
            pure=False,
            workers=sorted(workers) if is_restricted else None,
            allow_other_workers=is_restricted,  # where all of these have ended meanwhile
        )
        self._running[future] = step
        self._view.begin(future.key, item.slide_id)
        future.add_done_callback(self._ended.put)

    def _take(self) -> None:
        """Wait a moment for tasks to end, and see what came of them."""
        try:
            future = self._ended.get(timeout=_TICK_S)
        except queue.Empty:
            # What has ended is never waited for, heard or not. `done` is false of what is lost.
            for ended in [future for future in self._running if future.status != "pending"]:
                self._ended.put(ended)
            return
        step = self._running.get(future)
        if step is None:
            return
        try:
            answer = self._answer(future, step)
        except TimeoutError:  # the worker that had the answer is gone; it is worked out again
            future.add_done_callback(self._ended.put)
            return
        del self._running[future]
        future.release()
        if answer is None:
            self._queue.again(step)
        else:
            self._view.end(future.key, answer.get("worker", ""), answer["n_tiles"])
            self._judge(step, answer)

    def _begin_lost_again(self) -> None:
        for future in self._lost.find(self._running):
            step = self._running.pop(future)
            self._client.cancel([future], force=True)
            self._queue.again(step)

    def _answer(self, future: Future, step: Step) -> dict[str, Any] | None:
        """Return what a task answered, None where it has to be done again."""
        if future.status == "cancelled" or future.status == "lost":
            return None
        if future.status == "finished":
            answer: dict[str, Any] = future.result(timeout=ANSWER_S)
            return answer
        error = future.exception(timeout=ANSWER_S)
        name = step.slide.item.slide_id
        plain = {"kind": "failed", "n_tiles": 0, "n_parts": 0, "worker": "", "said": []}
        if isinstance(error, KilledWorker):
            sentence = (
                f"Slide '{name}': {error.allowed_failures + 1} workers ended while they had it"
                f"{' and nothing else' if step.is_alone else ''}, last "
                f"{error.last_worker.address}. It may need more memory than they have: give them "
                "more, or lower --part-tiles."
            )
            return plain | {"kind": "killed", "sentence": sentence}
        what = crash_sentence(error) if error is not None else "end"
        return plain | {"sentence": f"Slide '{name}': the worker stopped on an unexpected {what}."}

    def _judge(self, step: Step, answer: dict[str, Any]) -> None:
        """Decide what is next for a slide."""
        for level, sentence in answer["said"]:
            self._reporter.log(sentence, level)
        slide, kind, worker = step.slide, answer["kind"], answer["worker"]
        self._tally.n_tiles += answer["n_tiles"]
        if slide.is_ended:
            return
        if kind == "parts":
            self._queue.cut(slide, answer["n_parts"])
        elif kind == "part":
            self._queue.part_done(slide)
        elif kind == "busy":
            self._reporter.warn_once(f"{answer['sentence']} Waiting for it.")
            self._queue.again(step, is_later=True)
        elif kind in ("unfit", "other version"):
            self._note_unfit(worker, f"{answer['sentence'].rstrip('.')} (worker {worker}).")
            self._check_fit()
            self._queue.again(step)
        elif kind == "unseen":
            self._queue.is_unseen(step, worker)
            self._retry(step, answer["sentence"], len(self._fit() - slide.tried) > 0)
        elif kind in ("broken", "failed"):
            self._fail(step, answer["sentence"], worker)
        elif kind == "killed":
            self._suspect(step, answer["sentence"])
        else:
            self._end(step, Outcome(kind, answer["sentence"]))

    def _suspect(self, step: Step, sentence: str) -> None:
        """Let a slide that several workers did not survive be done alone, once.

        Workers end for other reasons, too: another slide that they had, an administrator, a time
        limit. A slide that takes long is there most often.
        """
        if step.is_alone:
            self._end(step, Outcome("broken", sentence))
            return
        self._reporter.log(f"{sentence} It is tried once more after all others, alone.", "warning")
        self._queue.set_aside(step)

    def _fail(self, step: Step, sentence: str, worker: str) -> None:
        """Let another worker try, unless two said the same or too many have tried."""
        slide = step.slide
        is_told_before = sentence in slide.reasons
        slide.reasons.append(sentence)
        slide.tried.add(worker)
        has_others = bool(self._fit() - slide.tried)
        is_worth_it = len(slide.reasons) <= self._choice.retries and not is_told_before
        self._retry(step, sentence, is_worth_it and (has_others or not worker))

    def _retry(self, step: Step, sentence: str, has_chance: bool) -> None:
        if has_chance:
            self._queue.again(step)
            return
        if not step.slide.reasons:
            sentence = f"{sentence} None of the {len(self._workers)} workers sees it."
        self._end(step, Outcome("broken", sentence))

    def _end(self, step: Step, outcome: Outcome) -> None:
        step.slide.is_ended = True
        self._tally.add(step.slide.item, outcome)
        if outcome.kind == "broken":
            self._reporter.log(outcome.sentence, "warning")

    def _note_unfit(self, address: str, sentence: str) -> None:
        if address not in self._unfit:
            self._reporter.warn_once(f"{sentence} It gets no work.")
        self._unfit[address] = sentence

    def _tell(self) -> None:
        self._view.tell(self._tally, self._total, len(self._running))
        self._reporter.progress("Slides", len(self._tally), self._total)


def _size(item: SlideItem) -> int:
    """Return the bytes of a slide, so that the longest begin first; 0 where it is not seen."""
    try:
        return item.path.stat().st_size
    except OSError:
        return 0
