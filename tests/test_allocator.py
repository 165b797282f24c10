"""Freed memory stays with an engine and leaves a window, where the C library is glibc."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is advised")
KEPT = """
import numpy, psutil
from napari_dre_slcl.allocator import keep_freed_memory

def resident_after_free():
    block = numpy.ones(200 * 2**17)  # 200 MiB
    del block
    return psutil.Process().memory_info().rss / 2**20

before = resident_after_free()
assert keep_freed_memory()
print(resident_after_free() - before)
"""
GIVEN_BACK = """
import sys, numpy, psutil
from napari_dre_slcl.allocator import give_large_blocks_back

if sys.argv[1] == "given back":
    assert give_large_blocks_back()
del_at_once = numpy.ones(30 * 2**17)
del del_at_once  # from now on glibc would put what is smaller than this among the small blocks
before = psutil.Process().memory_info().rss
pairs = [(numpy.ones(2**16), bytearray(20_000)) for _ in range(400)]  # 200 MiB of tiles, and others
small = [pair[1] for pair in pairs]
del pairs
print((psutil.Process().memory_info().rss - before) / 2**20)
"""


def _mib(program: str, *arguments: str) -> float:
    unadvised = {name: text for name, text in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=unadvised)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_an_engine_keeps_freed_memory() -> None:
    assert _mib(KEPT) > 150


def test_a_window_keeps_no_holes_of_the_size_of_tiles() -> None:
    assert _mib(GIVEN_BACK, "as it is") > 150
    assert _mib(GIVEN_BACK, "given back") < 30
