from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.local_cache import CacheFullError, LocalCache


def _fill(n_bytes: int) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "data").write_bytes(b"x" * n_bytes)

    return fill


def _never(folder: Path) -> None:
    raise AssertionError("the copy was there")


def _copies(cache: LocalCache) -> list[str]:
    return sorted(path.name for path in cache.folder.iterdir() if path.name != "locks")


def test_a_copy_is_made_once_and_holds_the_files(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path / "new" / "cache", 1000)
    with cache.lease("aa", 100, _fill(100)) as lease:
        assert (lease.folder / "data").read_bytes() == b"x" * 100
    with cache.lease("aa", 100, _never):
        assert _copies(cache) == ["aa-100"]


def test_the_longest_unused_goes_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path, 300)
    held = cache.lease("a", 100, _fill(100))
    for number, key in enumerate("bc"):
        cache.lease(key, 100, _fill(100)).close()
        os.utime(tmp_path / f"{key}-100" / "in-use", (number, number))
    os.utime(held.folder / "in-use", (0, 0))
    cache.lease("d", 100, _fill(100)).close()
    assert _copies(cache) == ["a-100", "c-100", "d-100"]
    assert (held.folder / "data").exists()
    held.close()
    cache.lease("e", 300, _fill(300)).close()
    assert _copies(cache) == ["e-300"]


def test_no_room_is_told(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path, 300)
    with pytest.raises(CacheFullError, match=r"is larger than the cache .* DRE_SLCL_CACHE_GIB"):
        cache.lease("a", 301, _never)
    with (
        cache.lease("b", 200, _fill(200)),
        pytest.raises(CacheFullError, match=r"finds no room .* in use at this moment"),
    ):
        cache.lease("c", 200, _never)


def test_a_copy_that_failed_leaves_nothing(tmp_path: Path) -> None:
    cache = LocalCache(tmp_path, 300)

    def fail(folder: Path) -> None:
        (folder / "data").write_bytes(b"half")
        raise SlideError("The connection broke.")

    with pytest.raises(SlideError, match="connection broke"):
        cache.lease("a", 200, fail)
    assert _copies(cache) == []
    cache.lease("a", 200, _fill(200)).close()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SlideError, match="DRE_SLCL_CACHE_DIR"):
        LocalCache(tmp_path / "file", 300).lease("a", 1, _never)


# Processes of their own, from text: one that has to import this file finds it only where pytest
# was started as a module.
_OTHER = """
import os, sys, time
from pathlib import Path
from napari_dre_slcl.slide.local_cache import LocalCache

cache = LocalCache(Path(sys.argv[1]), 300)
"""
_MAKE_SLOWLY = """
def fill(part):
    Path(sys.argv[2], str(os.getpid())).touch()
    time.sleep(0.3)
    (part / "data").write_bytes(b"x" * 50)

with cache.lease("a", 50, fill) as lease:
    assert (lease.folder / "data").stat().st_size == 50
"""
_HOLD = """
def fill(part):
    (part / "data").write_bytes(b"x" * 150)

def hang(part):
    (part / "data").write_bytes(b"half")
    print("hangs", flush=True)
    time.sleep(60)

lease = cache.lease("held", 150, fill)
assert lease.folder.is_dir()
cache.lease("hung", 100, hang)
"""


def _other(script: str, *arguments: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _OTHER + script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_want_the_same_make_it_once(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    both = [_other(_MAKE_SLOWLY, tmp_path / "cache", tmp_path / "made") for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    assert [process.returncode for process in both] == [0, 0]
    assert len(list((tmp_path / "made").iterdir())) == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
def test_another_process_keeps_its_copies_until_it_is_killed(tmp_path: Path) -> None:
    other = _other(_HOLD, tmp_path)
    try:
        assert other.stdout.readline() == "hangs\n"
        cache = LocalCache(tmp_path, 300)
        with pytest.raises(CacheFullError, match="in use at this moment"):
            cache.lease("a", 100, _never)
        assert "held-150" in _copies(cache)
    finally:
        other.kill()
        other.communicate()
    cache.lease("b", 300, _fill(300)).close()
    assert _copies(cache) == ["b-300"]
