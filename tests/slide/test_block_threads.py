"""Threads that share the work of one call: no deadlock, no lost error, no thread left."""

from __future__ import annotations

import gc
import threading
from functools import partial

import pytest

from napari_dre_slcl.slide.block_threads import BlockThreads, shared_threads


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n_tasks", [0, 1, 7, 100])
def test_every_task_runs_once(n_threads, n_tasks):
    done = []
    BlockThreads(n_threads).run(partial(done.append, number) for number in range(n_tasks))
    assert sorted(done) == list(range(n_tasks))


def test_tasks_run_at_the_same_time():
    meet, places = threading.Barrier(3, timeout=20), []
    BlockThreads(3).run([lambda: places.append(meet.wait())] * 3)
    assert sorted(places) == [0, 1, 2]  # each waited until all three were there


def test_tasks_may_call_again_from_more_threads_than_there_are():
    threads = BlockThreads(2)
    done = []

    def nested(depth):
        if depth:
            threads.run([partial(nested, depth - 1)] * 3)
        else:
            done.append(threading.get_ident())

    callers = [threading.Thread(target=nested, args=(3,), daemon=True) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert len(done) == 6 * 3**3


def test_the_first_error_ends_the_rest_and_is_raised():
    done = []

    def work(number):
        if number == 3:
            raise ValueError("third")
        done.append(number)

    with pytest.raises(ValueError, match="third"):
        BlockThreads(2).run(partial(work, number) for number in range(10_000))
    assert len(done) < 9_000


def test_threads_end_when_nobody_keeps_them():
    threads = BlockThreads(3)
    meet = threading.Barrier(3, timeout=20)
    used = []
    threads.run([lambda: (used.append(threading.current_thread()), meet.wait())] * 3)
    helpers = [thread for thread in used if thread is not threading.current_thread()]
    assert len(helpers) == 2
    del threads
    gc.collect()
    for helper in helpers:
        helper.join(20)
        assert not helper.is_alive()


def test_all_slides_share_the_same_threads():
    threads = shared_threads()
    assert shared_threads() is threads
