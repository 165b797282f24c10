"""A slide's fingerprint changes with its bytes, wherever they lie, and only then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.fingerprint import slide_fingerprint


def _overwrite(path: Path, place: int, content: bytes) -> None:
    """Change bytes but neither size nor time of change."""
    times = path.stat()
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("size", [0, 100, 70_000, 140_000, 3_000_000])
def test_an_untouched_file_keeps_its_fingerprint(tmp_path: Path, size: int) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(os.urandom(size))
    assert slide_fingerprint(path) == slide_fingerprint(str(path))


@pytest.mark.parametrize("place", [0, 65_535, 1_500_000, 2_999_999])
def test_bytes_changed_at_both_ends_and_between_are_noticed(tmp_path: Path, place: int) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(bytes(3_000_000))
    before = slide_fingerprint(path)
    # Between the ends one sample is taken in each 32nd part.
    length = 1 if place in (0, 65_535, 2_999_999) else 100_000
    _overwrite(path, place, b"\1" * length)
    assert slide_fingerprint(path) != before


def test_every_byte_of_a_small_file_counts(tmp_path: Path) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(bytes(140_000))
    before = slide_fingerprint(path)
    _overwrite(path, 70_000, b"\1")
    assert slide_fingerprint(path) != before


def test_size_and_time_of_change_count(tmp_path: Path) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(bytes(1000))
    first = slide_fingerprint(path)
    os.utime(path, ns=(0, 1))
    second = slide_fingerprint(path)
    with path.open("ab") as stream:
        stream.write(b"\0")
    os.utime(path, ns=(0, 1))
    assert len({first, second, slide_fingerprint(path)}) == 3


@pytest.mark.parametrize(("slide", "part"), [("s", "s/1.dcm"), ("s.mrxs", "s/Data0001.dat")])
def test_every_file_of_a_slide_in_many_files_counts(tmp_path: Path, slide: str, part: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / part).write_bytes(b"pixels")
    (tmp_path / "s.mrxs").write_bytes(b"index")
    before = slide_fingerprint(tmp_path / slide)
    _overwrite(tmp_path / part, 0, b"PIXELS")
    assert slide_fingerprint(tmp_path / slide) != before


def test_a_folder_that_happens_to_bear_a_slides_name_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "s.svs").write_bytes(b"pixels")
    before = slide_fingerprint(tmp_path / "s.svs")
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").write_text("mine")
    assert slide_fingerprint(tmp_path / "s.svs") == before


def test_a_missing_slide_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"Slide 'gone\.svs' cannot be read: No such file"):
        slide_fingerprint(tmp_path / "gone.svs")
