"""A slide's fingerprint changes with its bytes, wherever they lie, and only then."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmwrite

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


def _dicom(path: Path, series: bytes, before: bytes = b"") -> Path:
    """Write the start of a DICOM file: preamble, SeriesInstanceUID, and something for pixels."""
    uid = series + b"\0" * (len(series) % 2)
    tag = b"\x20\x00\x0e\x00UI" + len(uid).to_bytes(2, "little") + uid
    path.write_bytes(bytes(128) + b"DICM" + before + tag + bytes(300_000))
    return path


def test_every_file_of_a_dicom_series_counts_whichever_is_given(tmp_path: Path) -> None:
    level_0, level_1 = (_dicom(tmp_path / name, b"1.2.3") for name in ("0.dcm", "1.dcm"))
    before = slide_fingerprint(level_1)
    assert slide_fingerprint(level_0) == before
    _overwrite(level_0, 300_100, b"\1")
    changed = slide_fingerprint(level_1)
    assert changed != before
    _dicom(tmp_path / "2.dcm", b"1.2.3")
    assert slide_fingerprint(level_1) != changed


@pytest.mark.parametrize("has_sizes", [True, False], ids=["sizes", "end marks"])
def test_dicom_series_that_a_file_only_refers_to_is_not_its_own(
    tmp_path: Path, has_sizes: bool
) -> None:
    refers = Dataset()
    refers.SeriesInstanceUID = "9.9"
    refers.ReferencedInstanceSequence = [Dataset()]
    refers.is_undefined_length_sequence_item = not has_sizes
    dataset = Dataset()
    dataset.ReferencedSeriesSequence = [refers, refers]
    dataset["ReferencedSeriesSequence"].is_undefined_length = not has_sizes
    stream = BytesIO()
    dcmwrite(stream, dataset, implicit_vr=False, little_endian=True)
    slide = _dicom(tmp_path / "1.dcm", b"1.2.3", stream.getvalue())
    level_0 = _dicom(tmp_path / "0.dcm", b"1.2.3")
    other = _dicom(tmp_path / "2.dcm", b"9.9")
    before = slide_fingerprint(slide)
    _overwrite(other, 300_100, b"\1")
    assert slide_fingerprint(slide) == before
    _overwrite(level_0, 300_100, b"\1")
    assert slide_fingerprint(slide) != before


@pytest.mark.parametrize("kind", [b"SQ", b"UI", b"OB", b"\xff\xff"])
def test_dicom_file_of_nonsense_stands_alone(tmp_path: Path, kind: bytes) -> None:
    for name in ("a.dcm", "b.dcm"):
        content = (b"\x08\x00\x15\x11" + kind + b"\xff" * 6) * 30_000
        (tmp_path / name).write_bytes(bytes(128) + b"DICM" + content)
    before = slide_fingerprint(tmp_path / "a.dcm")
    _overwrite(tmp_path / "b.dcm", 10_000, b"\1")
    assert slide_fingerprint(tmp_path / "a.dcm") == before


def test_files_beside_a_dicom_slide_do_not_count(tmp_path: Path) -> None:
    slide = _dicom(tmp_path / "a.dcm", b"1.2.3")
    other = _dicom(tmp_path / "b.dcm", b"1.2.34")
    before = slide_fingerprint(slide)
    _overwrite(other, 300_100, b"\1")
    (tmp_path / "notes.txt").write_text("mine")
    _dicom(tmp_path / "c.dcm", b"")
    assert slide_fingerprint(slide) == before


def test_dicom_file_that_names_no_series_stands_alone(tmp_path: Path) -> None:
    slide, other = (_dicom(tmp_path / name, b"") for name in ("a.dcm", "b.dcm"))
    before = slide_fingerprint(slide)
    _overwrite(other, 300_100, b"\1")
    assert slide_fingerprint(slide) == before


def test_overwritten_level_of_a_real_dicom_slide_is_noticed(real_data, tmp_path: Path) -> None:
    source = real_data / "slides" / "dicom_cmu-1-small-region"
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    levels = sorted(tmp_path.iterdir(), key=lambda file: file.stat().st_size)
    before = slide_fingerprint(levels[0])
    _overwrite(levels[-1], levels[-1].stat().st_size - 100, bytes(range(100)))
    assert slide_fingerprint(levels[0]) != before


@pytest.mark.parametrize("suffix", [".vms", ".VMU"])
def test_every_file_that_a_hamamatsu_index_names_counts(tmp_path: Path, suffix: str) -> None:
    index = tmp_path / f"scan{suffix}"
    index.write_bytes(
        b"[Virtual Microscope Specimen]\r\nImageFile=scan.jpg\r\nImageFile(1,0)=scan(1,0).jpg\r\n"
        b"MapFile = other map.jpg\r\nOptimisationFile=scan.opt\r\nMacroImage=gone.jpg\r\n"
    )
    parts = [tmp_path / name for name in ("scan.jpg", "scan(1,0).jpg", "other map.jpg", "scan.opt")]
    unrelated = [tmp_path / name for name in ("scan2.jpg", "scan.h5", "b.vms")]
    for file in (*parts, *unrelated):
        file.write_bytes(b"pixels")
    before = slide_fingerprint(index)
    for file in unrelated:
        _overwrite(file, 0, b"PIXELS")
    assert slide_fingerprint(index) == before
    for file in parts:
        _overwrite(file, 0, b"PIXELS")
        after = slide_fingerprint(index)
        assert after != before
        before = after


def test_a_missing_slide_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match=r"Slide 'gone\.svs' cannot be read: No such file"):
        slide_fingerprint(tmp_path / "gone.svs")
