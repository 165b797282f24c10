from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide import SlideInfo, open_slide
from napari_dre_slcl.slide.info import level_downsample


def test_info_says_what_the_file_says(slide):
    info = slide.info
    assert info.level_shapes == ((1024, 1536), (256, 384))
    assert info.shape == (1024, 1536)
    assert info.level_downsamples == (1.0, 4.0)
    assert info.mpp == pytest.approx(0.5)
    assert info.mpp_source == "TIFF resolution"
    assert info.tile_shape == (256, 256)
    assert SlideInfo.model_validate_json(info.model_dump_json()) == info


def test_aperio_header_gives_pixel_size_and_power(slide_file):
    with open_slide(slide_file("a.svs", mpp=0.2501, header="aperio")) as slide:
        assert slide.info.vendor == "aperio"
        assert slide.info.mpp == pytest.approx(0.2501)
        assert slide.info.mpp_source == "vendor property"
        assert slide.info.objective_power == 20


def test_users_pixel_size_wins(slide_file):
    with open_slide(slide_file(mpp=0.5), mpp=0.25) as slide:
        assert (slide.info.mpp, slide.info.mpp_source) == (0.25, "user")


def test_screen_resolution_is_no_pixel_size(slide_file):
    with open_slide(slide_file(mpp=25_400 / 72)) as slide:
        assert (slide.info.mpp, slide.info.mpp_source) == (None, "unknown")
        assert "outside the plausible 0.1 to 10 µm" in slide.info.findings[0].sentence


@pytest.mark.parametrize("mpp", [0, -1, 0.09, 10.1, float("nan"), float("inf")])
def test_implausible_pixel_size_is_refused(slide_file, mpp):
    with pytest.raises(SlideError, match="not plausible"):
        open_slide(slide_file(), mpp=mpp)


def test_pickled_slide_reopens(slide):
    with pickle.loads(pickle.dumps(slide)) as copy:
        assert copy.info == slide.info
        assert np.array_equal(copy.read_region(300, 300, 9, 9), slide.read_region(300, 300, 9, 9))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.svs", b"not a slide at all\n" * 50, "not a whole-slide image"),
        ("empty.svs", b"", "empty file"),
        ("cut.tif", b"II*\0\x08\0\0\0", "not a whole-slide image|cannot be opened"),
    ],
)
def test_file_that_is_no_slide_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SlideError, match=words) as caught:
        open_slide(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


UNREADABLE = """
import os, sys
from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide import open_slide
open_slide(sys.argv[1]).close()  # imports what is imported late
os.chmod(sys.argv[1], 0)
if os.geteuid() == 0:
    os.seteuid(65534)  # the superuser may read everything
try:
    open_slide(sys.argv[1])
except SlideError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="permissions as Unix has them")
def test_file_that_may_not_be_read_is_one_sentence(slide_file):
    path = slide_file("secret.tif")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copy(path, folder)
        command = [sys.executable, "-c", UNREADABLE, str(Path(folder) / path.name)]
        child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "secret.tif' cannot be read (Permission denied); check" in child.stdout, child.stderr


def test_missing_file_and_folder_without_dicom(tmp_path):
    with pytest.raises(SlideError, match="does not exist"):
        open_slide(tmp_path / "gone.svs")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(SlideError, match="holds no DICOM slide"):
        open_slide(tmp_path)


def test_file_that_was_not_copied_whole_says_so_when_opened(slide_file):
    path = slide_file(levels=2)
    with open_slide(path) as whole:
        assert whole.info.findings == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    with open_slide(path) as slide:
        (finding,) = slide.info.findings
        assert (finding.code, finding.severity) == ("file-cut-off", "warning")
        n_missing = int(re.search(r"ends before (\d+) of the 24 tiles", finding.sentence)[1])
        damaged = 0
        for y, x in np.ndindex(4, 6):
            try:
                slide.read_region(y * 256, x * 256, 256, 256)
            except DamagedSlideError:
                damaged += 1
        assert n_missing == damaged > 0


def test_closed_slide_says_so(slide):
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        slide.read_region(0, 0, 8, 8)


def test_close_waits_for_reads_and_may_be_repeated(slide):
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(slide.read_region, 0, 0, 1024, 1536) for _ in range(8)]
        time.sleep(0.01)
        slide.close()
        slide.close()
    errors = [read.exception() for read in reads]
    assert all(error is None or "closed" in str(error) for error in errors)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_reads_what_the_parent_reads(slide):
    truth = slide.read_tiles([[300, 300], [500, 900]], 64, n_threads=2)
    child = os.fork()
    if child == 0:
        same = np.array_equal(slide.read_tiles([[300, 300], [500, 900]], 64, n_threads=2), truth)
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(slide.read_tiles([[300, 300], [500, 900]], 64), truth)


def test_spawned_process_reads_what_the_parent_reads(slide):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        there = pool.submit(slide.read_region, 300, 300, 40, 50).result()
    assert np.array_equal(there, slide.read_region(300, 300, 40, 50))


def test_damaged_tile_is_named_and_the_rest_stays_readable(slide_file):
    path = slide_file("cut.tif", levels=1)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[9]
        size = tiff.pages[0].databytecounts[9]
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = bytes(size)
    path.write_bytes(content)
    with open_slide(path) as slide:
        good = slide.read_region(0, 0, 200, 200)
        with pytest.raises(SlideError, match=r"'cut.tif' is damaged near y=256, x=768"):
            slide.read_region(300, 800, 50, 50)
        assert np.array_equal(slide.read_region(0, 0, 200, 200), good)
        with ThreadPoolExecutor(4) as pool:
            bad = [pool.submit(slide.read_region, 300, 800, 50, 50) for _ in range(20)]
            fine = [pool.submit(slide.read_region, 0, 0, 200, 200) for _ in range(20)]
        assert all("y=256, x=768" in str(read.exception()) for read in bad)
        assert all(np.array_equal(read.result(), good) for read in fine)


@pytest.mark.real_data
def test_dicom_folder_is_a_slide_and_its_path(real_data):
    folder = real_data / "slides" / "dicom_cmu-1-small-region"
    with open_slide(folder) as slide:
        assert slide.info.path == str(folder)
        assert slide.info.shape == (2967, 2220)
    with open_slide(folder / "level-0-frames-0-30.dcm") as same:
        assert same.info.level_shapes == slide.info.level_shapes


def test_axes_that_disagree_give_no_pixel_size(tmp_path):
    path = tmp_path / "anisotropic.tif"
    tifffile.imwrite(
        path,
        np.full((300, 300, 3), 200, np.uint8),
        tile=(128, 128),
        photometric="rgb",
        resolution=(20_000, 25_000),
        resolutionunit="CENTIMETER",
    )
    with open_slide(path) as slide:
        assert (slide.info.mpp, slide.info.mpp_source) == (None, "unknown")
        assert "differ: x is 0.5 and y is 0.4 µm" in slide.info.findings[0].sentence


def test_resolution_in_inches_is_read(tmp_path):
    path = tmp_path / "inch.tif"
    tifffile.imwrite(
        path,
        np.full((300, 300, 3), 200, np.uint8),
        tile=(128, 128),
        photometric="rgb",
        resolution=(50_800, 50_800),
        resolutionunit="INCH",
    )
    with open_slide(path) as slide:
        assert slide.info.mpp == pytest.approx(0.5)
        assert slide.info.mpp_source == "TIFF resolution"


@pytest.mark.parametrize(
    ("shape", "level_shape", "factor"),
    [
        ((31017, 29912), (7755, 7478), 4.0),
        ((2967, 2220), (11, 8), 256.0),
        ((900, 1200), (300, 400), 3.0),
        ((1000, 1000), (400, 400), 2.5),
        ((1000, 1000), (1000, 1000), 1.0),
    ],
)
def test_downsample_is_the_factor_that_made_the_level(shape, level_shape, factor):
    assert level_downsample(shape, level_shape) == factor


@pytest.mark.real_data
def test_folder_of_two_dicom_slides_asks_which(real_data, tmp_path):
    source = real_data / "slides" / "dicom_cmu-1-small-region"
    series = b"\x20\x00\x0e\x00UI"
    for file in sorted(source.iterdir()):
        content = file.read_bytes()
        (tmp_path / file.name).write_bytes(content)
        at = content.index(series) + len(series) + 2
        other = content[:at] + b"9" + content[at + 1 :]
        (tmp_path / f"other-{file.name}").write_bytes(other)
    with pytest.raises(SlideError, match=r"holds 2 DICOM slides; give one file .*other-level"):
        open_slide(tmp_path)
    with open_slide(tmp_path / "other-level-0-frames-0-30.dcm") as slide:
        assert slide.info.shape == (2967, 2220)
