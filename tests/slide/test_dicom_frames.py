"""A DICOM slide whose own table names frames that are not there is refused, and harms nothing."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys

import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import open_slide
from torture.slides.made import make_slides

PIXELS = bytes.fromhex("e07f10004f420000ffffffff")
READ_AT_ONCE = """
import sys, threading
from napari_dre_slcl.errors import DamagedSlideError
from napari_dre_slcl.slide import open_slide

def read():
    gate.wait()
    try:
        slide.read_region(0, 0, 64, 64, level=1)
    except DamagedSlideError as error:
        told.append(error)

told = []
with open_slide(sys.argv[1]) as slide:
    for _ in range(100):
        gate = threading.Barrier(8)
        threads = [threading.Thread(target=read) for _ in range(8)]
        [one.start() for one in threads]
        [one.join() for one in threads]
print(len(told))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_slides(tmp_path_factory.mktemp("made"), None)["DICOM"]


def with_frame_at(folder, frame, place):
    """Let the table of the finest level name another place for a frame; return the file."""
    path = folder / "level-1.dcm"
    content = bytearray(path.read_bytes())
    table = content.index(PIXELS) + len(PIXELS) + 8
    struct.pack_into("<I", content, table + 4 * frame, place)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("place", [2**32 - 500, 2**28, 86_100, 21_313])
def test_frame_that_is_not_where_the_table_says_is_refused_before_it_is_read(
    folder, tmp_path, place
):
    hurt = tmp_path / "hurt"
    hurt.mkdir()
    for file in folder.iterdir():
        (hurt / file.name).write_bytes(file.read_bytes())
    path = with_frame_at(hurt, 5, place)
    for given in (hurt, path, hurt / "level-4.dcm"):
        with pytest.raises(SlideError, match=r"in 'level-1.dcm' names frames where there are none"):
            open_slide(given)


@pytest.mark.parametrize("length", [0, 4000, 2**31])
def test_frames_that_claim_to_be_plain_pixels_are_refused(folder, tmp_path, length):
    content = (folder / "level-1.dcm").read_bytes()
    wrong = PIXELS[:-4] + struct.pack("<I", length)
    (tmp_path / "hurt.dcm").write_bytes(content.replace(PIXELS, wrong))
    with pytest.raises(SlideError, match="names frames where there are none"):
        open_slide(tmp_path / "hurt.dcm")


def test_cut_file_with_a_table_is_refused(folder, tmp_path):
    content = (folder / "level-1.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: len(content) // 2])
    with pytest.raises(SlideError, match="names frames where there are none"):
        open_slide(tmp_path / "cut.dcm")


def test_cut_level_that_many_threads_read_at_once_ends_no_process(folder, tmp_path):
    """Without a table the frames are looked for at the first read, which fails halfway."""
    shutil.copy(folder / "level-1.dcm", tmp_path)
    content = (folder / "level-4.dcm").read_bytes()
    at = content.index(PIXELS) + len(PIXELS) + 4
    (size,) = struct.unpack_from("<I", content, at)
    content = content[:at] + bytes(4) + content[at + 4 + size :]
    (tmp_path / "level-4.dcm").write_bytes(content[: (at + len(content)) // 2])
    done = subprocess.run(
        [sys.executable, "-c", READ_AT_ONCE, str(tmp_path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "800\n"), done.stderr


def test_sound_slide_is_opened(folder):
    with open_slide(folder) as slide:
        assert slide.info.shape == (512, 640)
