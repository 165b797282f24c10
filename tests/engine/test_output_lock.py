"""A lock is held by one process, and falls to the next one when its holder has ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_dre_slcl.engine.output_lock import LOCK_FOLDER, BusyError, held

HOLD_AND_END = """
import os, sys
from pathlib import Path
from napari_dre_slcl.engine.output_lock import held
with held(Path(sys.argv[1])):
    os._exit(9)
"""

HOLD_AND_WAIT = """
import sys, time
from pathlib import Path
from napari_dre_slcl.engine.output_lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def lock_of(output: Path) -> Path:
    return output.parent / LOCK_FOLDER / f"{output.name}.lock"


def write_lock_of_other_machine(output: Path, age_s: float) -> None:
    lock = lock_of(output)
    lock.parent.mkdir()
    holder = {"host": "elsewhere boot 1", "pid": 7, "started": "1", "token": "t"}
    lock.write_text(json.dumps(holder))
    os.utime(lock, (time.time() - age_s, time.time() - age_s))


def test_an_output_is_made_by_one_at_a_time(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with held(output):
        with pytest.raises(BusyError, match=rf"being made by process {os.getpid()}"), held(output):
            pass
        with held(tmp_path / "b.h5"):
            pass
    with held(output):
        pass
    assert not lock_of(output).exists()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    done = subprocess.run([sys.executable, "-c", HOLD_AND_END, str(output)], check=False)
    assert done.returncode == 9
    assert lock_of(output).exists()
    with held(output):
        assert json.loads(lock_of(output).read_text())["pid"] == os.getpid()


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system stops no process")
def test_a_stopped_process_does_not_keep_its_lock(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    command = [sys.executable, "-c", HOLD_AND_WAIT, str(output)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            holder.send_signal(signal.SIGSTOP)
            with pytest.raises(BusyError), held(output):
                pass
            os.utime(lock_of(output), (time.time() - 90, time.time() - 90))
            with held(output):
                assert json.loads(lock_of(output).read_text())["pid"] == os.getpid()
        finally:
            holder.kill()


def test_a_holder_is_told_that_another_has_its_lock(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with held(output) as check:
        check()
        lock_of(output).unlink()
        with held(output), pytest.raises(BusyError, match="is being made by"):
            check()


def test_a_name_as_long_as_a_disk_takes_can_be_locked(tmp_path: Path) -> None:
    with held(tmp_path / ("a" * 240)):
        pass


def test_a_holder_on_another_machine_counts_until_it_is_silent(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    write_lock_of_other_machine(output, age_s=5)
    with pytest.raises(BusyError, match="process 7 on elsewhere"), held(output):
        pass
    os.utime(lock_of(output), (time.time() - 90, time.time() - 90))
    with held(output):
        pass


def test_a_lock_cut_short_is_one_of_a_dead_process_once_it_is_old(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    write_lock_of_other_machine(output, age_s=5)
    lock_of(output).write_text("{")
    with pytest.raises(BusyError, match="another process"), held(output):
        pass
    os.utime(lock_of(output), (0, 0))
    with held(output):
        pass


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), held(tmp_path / "none" / "a.h5"):
        pass
    assert not (tmp_path / "none").exists()
