"""Freed memory stays with the process once asked for, where the C library is glibc."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import numpy, psutil
from napari_dre_slcl.engine.allocator import keep_freed_memory

def resident_after_free():
    block = numpy.ones(200 * 2**17)  # 200 MiB
    del block
    return psutil.Process().memory_info().rss / 2**20

before = resident_after_free()
assert keep_freed_memory()
print(resident_after_free() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc takes the advice")
def test_freed_memory_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 150
