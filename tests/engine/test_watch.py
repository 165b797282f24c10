"""The first process's ear to the others: who has ended before its time."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from napari_dre_slcl.engine.watch import Hub
from napari_dre_slcl.errors import JobError

GO_ON = "Go on with 'dre-slcl resume r'."


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(
        {1: "Process 2 of 3 (on a)", 2: "Process 3 of 3 (on b)"}, lambda: GO_ON, is_local=True
    )
    hub.start({})
    yield hub
    hub.close(0.0)  # once more does no harm


def come(hub: Hub, rank: int, token: str | None = None) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", hub.port))
    line.sendall(json.dumps({"rank": rank, "token": token or hub.token}).encode() + b"\n")
    return line


def test_a_line_that_breaks_is_a_process_that_has_ended(hub: Hub) -> None:
    lines = [come(hub, rank) for rank in (1, 2)]
    hub.wait_for_all(str)
    assert hub.lost() is None
    lines[1].close()
    assert hub.lost(within_s=5) == (
        f"Process 3 of 3 (on b) has ended, so training stopped. {GO_ON}"
    )
    lines[0].close()  # the first one has brought it down
    assert hub.lost(within_s=0.5) is not None
    assert "Process 3 of 3" in str(hub.lost())


def test_what_a_process_says_of_its_end_is_told_in_its_words(hub: Hub) -> None:
    lines = [come(hub, rank) for rank in (1, 2)]
    hub.wait_for_all(str)
    said = json.dumps("The disk of 'b' is full.").encode()
    lines[1].sendall(said[:7])
    assert hub.lost(within_s=0.3) is None
    lines[1].sendall(said[7:] + b"\n")
    assert hub.lost(within_s=5) == "Process 3 of 3 (on b): The disk of 'b' is full."


def test_a_process_that_is_done_may_leave(hub: Hub) -> None:
    lines = [come(hub, rank) for rank in (1, 2)]
    hub.wait_for_all(str)
    for line in lines:
        line.sendall(b"done\n")
        line.close()
    assert hub.lost(within_s=0.5) is None


def test_nobody_waits_long_for_a_process_that_does_not_hear(hub: Hub) -> None:
    lines = [come(hub, rank) for rank in (1, 2)]
    hub.wait_for_all(str)
    lines[0].sendall(b"done\n")
    assert not hub.close(0.2)
    assert [line.recv(64) for line in lines] == [b"failed\n"] * 2


def test_all_are_told_that_it_is_over_once_all_are_done(hub: Hub) -> None:
    lines = [come(hub, rank) for rank in (1, 2)]
    hub.wait_for_all(str)
    for line in lines:
        line.sendall(b"done\n")
    assert hub.close(10.0)
    assert [line.recv(64) for line in lines] == [b"over\n"] * 2


def test_strangers_are_not_listened_to(hub: Hub) -> None:
    strangers = [come(hub, 1, token="guess"), come(hub, 7)]
    for stranger in strangers:
        stranger.settimeout(5)
        assert stranger.recv(1) == b""
    with pytest.raises(JobError, match="it has ended early"):
        hub.wait_for_all(lambda: "it has ended early")


def test_trouble_is_told_after_its_time(hub: Hub) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    hub.when_lost(0.4, told.put)
    lines = [come(hub, rank) for rank in (1, 2)]
    hub.wait_for_all(str)
    lines[0].close()
    lost = hub.lost(within_s=5)
    assert lost is not None
    assert told.empty()
    assert told.get(timeout=5) == lost


SCRIPT = """
import threading, time
from napari_dre_slcl.engine import watch_line
from napari_dre_slcl.engine.watch import Hub

watch_line.HOST_GONE_S = 0.3
hub = Hub({1: "Process 2 of 2"}, str, is_local=True)
hub.start({})
line = watch_line.Line(("127.0.0.1", hub.port), hub.token, 1, str, 0.0)
hub.wait_for_all(str)
threading.Thread(target=hub.close, args=(5.0,)).start()
line.end()
line.let_go()
time.sleep(1.0)
print("has more to do")
"""


def test_a_process_may_do_other_things_after_a_training() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "has more to do\n", "")
