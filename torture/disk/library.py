"""Builds the library that lets a disk fail, and names the environment that preloads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torture.disk.control import Control

__all__ = ["build", "preloaded", "why_not"]

_SOURCE = Path(__file__).with_name("faulty.c")


def why_not() -> str:
    """Say why the library cannot be had here; empty if it can."""
    if sys.platform != "linux":
        return "calls are intercepted by LD_PRELOAD, which only Linux has"
    return "" if shutil.which("cc") else "there is no C compiler 'cc' to build the library with"


def build(folder: Path) -> Path:
    """Compile the library into a folder.

    Raises
    ------
    RuntimeError
        If the compiler refuses.
    """
    library = folder / "faulty.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"'{_SOURCE}' cannot be built: {done.stderr[-2000:]}")
    return library


@contextmanager
def preloaded(library: Path, control: Control) -> Iterator[None]:
    """Let processes that are started in the block have the library."""
    added = {"LD_PRELOAD": str(library), "FAULTY_CONTROL": str(control.path)}
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
