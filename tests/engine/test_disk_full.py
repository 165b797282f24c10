"""What is told of a file or a disk that a run can no longer use."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from napari_dre_slcl.engine.disk_full import explain_full_disk
from napari_dre_slcl.errors import JobError, ResultError


def test_an_unreadable_file_ends_a_run_with_a_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with (
        pytest.raises(JobError, match=r"cannot be used: No such file.*gone.*dre-slcl resume"),
        explain_full_disk(tmp_path),
    ):
        gone.read_bytes()


def test_a_full_disk_that_was_told_already_says_how_to_go_on(tmp_path: Path) -> None:
    with (
        pytest.raises(
            JobError, match=r"^No room\. The last checkpoint is whole: .*dre-slcl resume"
        ),
        explain_full_disk(tmp_path),
    ):
        raise ResultError("No room.") from OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(ResultError, match=r"^Broken\.$"), explain_full_disk(tmp_path):
        raise ResultError("Broken.")
