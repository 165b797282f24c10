"""What a process may still take, on made-up machines and on this one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_dre_slcl.engine.memory import available_memory

GIB = 2**30


def _machine(folder: Path, available_kib: int, cgroup: str) -> tuple[Path, Path]:
    proc, groups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(
        f"MemTotal:       99999999 kB\nMemFree:  1 kB\nMemAvailable:   {available_kib} kB\n"
    )
    (proc / "self" / "cgroup").write_text(cgroup)
    groups.mkdir()
    return proc, groups


def _group(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def test_without_groups_the_machine_decides(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, 4 * 2**20, "0::/\n")
    assert available_memory(proc, groups) == 4 * GIB


def test_a_group_above_limits_what_its_members_may_take(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, 64 * 2**20, "0::/jobs/mine\n")
    outer = {
        "memory.max": f"{8 * GIB}\n",
        "memory.current": f"{5 * GIB}\n",
        "memory.stat": f"anon 7\ninactive_file {1 * GIB}\n",
    }
    _group(groups / "jobs", outer)
    _group(groups / "jobs" / "mine", {"memory.max": "max\n", "memory.current": f"{2 * GIB}\n"})
    assert available_memory(proc, groups) == 4 * GIB  # 8 - 5 used + 1 that is given back


def test_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, 64 * 2**20, "3:cpu:/a\n2:memory:/a\n0::/\n")
    files = {
        "memory.limit_in_bytes": f"{3 * GIB}\n",
        "memory.usage_in_bytes": f"{2 * GIB}\n",
        "memory.stat": f"total_inactive_file {GIB // 2}\ntotal_active_file 1\n",
    }
    _group(groups / "memory" / "a", files)
    assert available_memory(proc, groups) == 3 * GIB // 2


def test_a_group_of_any_name_is_read(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, 4 * 2**20, "0::/jobs/größe\n")
    assert available_memory(proc, groups) == 4 * GIB


def test_a_full_group_leaves_nothing(tmp_path: Path) -> None:
    proc, groups = _machine(tmp_path, 64 * 2**20, "0::/\n")
    _group(groups, {"memory.max": f"{GIB}\n", "memory.current": f"{GIB + 4096}\n"})
    assert available_memory(proc, groups) == 0


def test_a_system_that_tells_nothing_is_unknown(tmp_path: Path) -> None:
    assert available_memory(tmp_path / "proc", tmp_path / "cgroup") is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems tell nothing")
def test_this_machine_tells(tmp_path: Path) -> None:
    room = available_memory()
    assert room is not None
    assert 2**20 < room < 2**50
