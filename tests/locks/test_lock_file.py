"""A lock says who holds it, is believed no more than it deserves, and tells when it is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from napari_dre_slcl.locks.holder import Holder, read_holder, state_of
from napari_dre_slcl.locks.lock_file import BusyError, delete_dead_locks, hold, who_holds

HOLD = """
import sys, time
from pathlib import Path
from napari_dre_slcl.locks.lock_file import hold
with hold(Path(sys.argv[1]), keeps_if_stopped=True):
    print("held", flush=True)
    time.sleep(60)
"""

HOLD_AND_END = """
import os, sys
from pathlib import Path
from napari_dre_slcl.atomic_file import aside_of
from napari_dre_slcl.locks.lock_file import hold
aside_of(Path(sys.argv[1])).touch()
with hold(Path(sys.argv[1]), keeps_if_stopped=True):
    os._exit(9)
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / ".lock"


def age(lock: Path, seconds: float) -> None:
    os.utime(lock, (time.time() - seconds, time.time() - seconds))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_stopped_run_keeps_its_lock_until_it_is_killed_and_says_so(lock: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=-1) as other:
        assert other.stdout is not None
        other.stdout.readline()
        try:
            other.send_signal(signal.SIGSTOP)
            while state_of(read_holder(lock)) != "stopped":
                time.sleep(0.01)
            age(lock, 3600)
            sentence = rf"process {other.pid} on .*, since 20.*stopped \(Ctrl-Z\)"
            with pytest.raises(BusyError, match=sentence), hold(lock, keeps_if_stopped=True):
                pass
        finally:
            other.kill()
        other.wait()
        assert who_holds(lock) is None
        with hold(lock, keeps_if_stopped=True) as mine:
            assert mine.ended is not None
            assert mine.ended.pid == other.pid
            assert "since" in str(who_holds(lock))


def test_a_number_that_came_round_again_is_not_the_holder(lock: Path) -> None:
    with hold(lock, keeps_if_stopped=True):
        facts = json.loads(lock.read_text())
    if not facts["started"]:
        pytest.skip("this machine does not tell when a process began")
    lock.write_text(json.dumps(facts | {"started": "1", "place": ""}))
    assert who_holds(lock) is None
    with hold(lock, keeps_if_stopped=True) as mine:
        mine.check()


def test_a_copied_folder_is_not_held_by_the_run_it_was_copied_from(tmp_path: Path) -> None:
    run, copy = tmp_path / "run", tmp_path / "copy"
    run.mkdir()
    with hold(run / ".lock", keeps_if_stopped=True):
        shutil.copytree(run, copy)
        age(copy / ".lock", 90)
        assert who_holds(copy / ".lock") is None
        with hold(copy / ".lock", keeps_if_stopped=True) as mine:
            assert mine.ended is None
        with pytest.raises(BusyError), hold(run / ".lock", keeps_if_stopped=True):
            pass


def test_a_lock_that_was_deleted_is_taken_back_and_one_that_fell_to_another_is_lost(
    lock: Path,
) -> None:
    with hold(lock, keeps_if_stopped=True) as mine:
        lock.unlink()
        mine.check()
        assert mine.is_mine()
        facts = json.loads(lock.read_text())
        lock.write_text(json.dumps(facts | {"token": "another", "pid": 7, "host": "elsewhere 1"}))
        with pytest.raises(BusyError, match="process 7 on elsewhere, since"):
            mine.check()
    assert lock.exists(), "another one's lock was taken away"


def test_of_many_that_follow_a_dead_one_just_one_gets_the_lock(lock: Path) -> None:
    with hold(lock, keeps_if_stopped=True):
        facts = json.loads(lock.read_text()) | {"pid": 2**22 + 1}
    for number in range(20):
        lock.write_text(json.dumps(facts | {"token": str(number)}))
        over, told = threading.Barrier(6), []

        def fight(over: threading.Barrier = over, told: list[object] = told) -> None:
            try:
                with hold(lock, keeps_if_stopped=True) as mine:
                    told.append(mine.ended)
                    over.wait()
            except BusyError as error:
                told.append(str(error))
                over.wait()

        threads = [threading.Thread(target=fight) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [one for one in told if isinstance(one, Holder)]
        assert [one.token for one in winners] == [str(number)]
        assert all(f"process {os.getpid()} on" in one for one in told if isinstance(one, str))
        assert not any(lock.parent.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 4000,
        "{",
        '{"host": 3}',
        '{"host": "a\\u001b[2J", "pid": 1, "started": "", "token": ""}',
        '{"host": "", "pid": -1, "started": "", "token": ""}',
        "x" * 10**6,
    ],
)
def test_a_lock_that_says_nonsense_counts_until_it_is_silent(lock: Path, content: str) -> None:
    lock.write_text(content)
    assert read_holder(lock) is None
    with pytest.raises(BusyError, match="another process"), hold(lock, keeps_if_stopped=True):
        pass
    for moment in (-90, 90):  # also one from the future, by a clock that was wrong
        lock.write_text(content)
        age(lock, moment)
        with hold(lock, keeps_if_stopped=True) as mine:
            mine.check()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes by name")
def test_a_pipe_in_a_locks_place_is_not_waited_for(lock: Path) -> None:
    os.mkfifo(lock)
    assert who_holds(lock) is None


def test_what_a_killed_process_left_beside_a_lock_goes(lock: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", HOLD_AND_END, str(lock)], check=False)
    assert ended.returncode == 9
    with hold(lock.with_name("b.lock"), keeps_if_stopped=True):
        delete_dead_locks(lock.parent)
        assert [path.name for path in lock.parent.iterdir()] == ["b.lock"]
