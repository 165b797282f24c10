from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource
from napari_dre_slcl.engine.open_files import allow_many_open_files
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
assert allow_many_open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
files = [open("/dev/null") for _ in range(200)]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_more_files_than_the_soft_limit_can_be_open() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
