"""Files and folders are whole or absent, whatever happens while they are written."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.atomic_file import (
    append_lines,
    aside_of,
    atomic_folder,
    atomic_path,
    atomic_writer,
    check_sum,
    create_once,
    cut_half_line,
    delete_left_over,
    differing,
    write_json,
    write_sums,
    write_text,
    write_with_sum,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_leaves_the_file_of_before_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with suppress(KeyError), atomic_writer(path) as stream:
        stream.write(b"half")
        raise KeyError
    with suppress(KeyError), atomic_path(path) as aside:
        aside.write_bytes(b"half")
        raise KeyError
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert names(tmp_path) == ["a.json"]


def test_a_folder_with_something_in_it_is_replaced_only_if_that_is_said(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "out", replaces=True) as aside:
            (aside / "text").write_text(text)
    with pytest.raises(OSError, match="not empty"), atomic_folder(tmp_path / "out") as aside:
        (aside / "text").write_text("third")
    assert (tmp_path / "out" / "text").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_an_error_leaves_the_folder_of_before(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as aside:
        (aside / "text").write_text("old")
    with pytest.raises(KeyError), atomic_folder(tmp_path / "out", replaces=True) as aside:
        raise KeyError
    assert (tmp_path / "out" / "text").read_text() == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
def test_who_may_read_a_file_is_as_the_user_has_set(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_text(tmp_path / "private", "a")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700


def test_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    name = "ü" * 127
    write_text(tmp_path / name, "a")
    with atomic_folder(tmp_path / ("ä" * 127)):
        pass
    assert (tmp_path / name).read_text() == "a"


def test_what_a_process_that_has_ended_left_is_deleted(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from napari_dre_slcl.atomic_file import aside_of\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "aside_of(folder / 'file').touch(); aside_of(folder / 'folder').mkdir()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    mine = aside_of(tmp_path / "file")
    mine.touch()
    (tmp_path / ".hidden.part").touch()
    (tmp_path / "result.npz").touch()
    assert delete_left_over(tmp_path) == (2 if sys.platform == "linux" else 0)
    kept = {mine.name, ".hidden.part", "result.npz"}
    assert kept <= set(names(tmp_path))
    assert delete_left_over(tmp_path / "missing") == 0


def test_what_another_machine_left_is_deleted_after_a_day(tmp_path: Path) -> None:
    old, new = (tmp_path / f".a.0123abcd-7-1.{n}2345678.part" for n in (1, 2))
    for path in (old, new):
        path.touch()
    os.utime(old, (1e9, 1e9))
    assert delete_left_over(tmp_path) == 1
    assert names(tmp_path) == [new.name]


def test_a_log_ends_with_a_whole_line(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    append_lines(log, ["one", "two"], is_durable=True)
    log.write_bytes(log.read_bytes() + b"hal")
    cut_half_line(log)
    append_lines(log, ["three"])
    assert log.read_bytes() == b"one\ntwo\nthree\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes to set")
def test_a_log_on_a_full_disk_ends_as_before(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from napari_dre_slcl.atomic_file import append_lines\n"
        f"log = Path({str(tmp_path / 'log.txt')!r})\n"
        "append_lines(log, ['whole'])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))\n"
        "try: append_lines(log, ['does not fit'])\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "File too large\n"
    assert (tmp_path / "log.txt").read_bytes() == b"whole\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes to set")
def test_a_full_disk_under_an_array_is_told_with_its_reason(tmp_path: Path) -> None:
    code = (
        "import resource, signal; from pathlib import Path; import numpy as np\n"
        "from napari_dre_slcl.atomic_file import atomic_writer\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n"
        f"    with atomic_writer(Path({str(tmp_path / 'a.npy')!r})) as stream:\n"
        "        np.save(stream, np.zeros(100_000))\n"
        "except OSError as error: print(error.strerror)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "disk" in done.stdout
    assert names(tmp_path) == []


def test_a_file_is_created_once(tmp_path: Path) -> None:
    assert create_once(tmp_path / "lock", b"mine")
    assert not create_once(tmp_path / "lock", b"yours")
    assert (tmp_path / "lock").read_bytes() == b"mine"
    assert names(tmp_path) == ["lock"]


def test_a_changed_byte_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_with_sum(path, bytes(100))
    assert check_sum(path)
    path.write_bytes(bytes(99) + b"\1")
    assert not check_sum(path)
    (tmp_path / "model.safetensors.sha256").unlink()
    assert check_sum(path)  # of an earlier version


def test_a_folder_is_compared_with_its_sums(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    (tmp_path / "b").write_text("b")
    write_sums(tmp_path)
    assert not list(differing(tmp_path))
    (tmp_path / "b").write_text("c")
    (tmp_path / "a.npy").unlink()
    assert list(differing(tmp_path)) == ["a.npy", "b"]
