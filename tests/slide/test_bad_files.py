"""Files that are no slides, or no longer: one sentence or a named tile, never a crash or a hang.

A child process with a limit on time and memory reads them all; each test looks at one outcome.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")

READER = Path(__file__).with_name("read_bad_files.py")
TILE_ROW, TILE_COL = 2, 1  # of the file tile that `Spoiler` damages
IMAGE_WIDTH, IMAGE_LENGTH, OFFSETS = 256, 257, 324


def noise(n_bytes):
    return np.random.default_rng(0).integers(0, 256, n_bytes, np.uint8).tobytes()


def jpeg(height, width, **options):
    options = {"level": 90, "colorspace": "rgb", "outcolorspace": "ycbcr"} | options
    return imagecodecs.jpeg8_encode(np.full((height, width, 3), 90, np.uint8), **options)


def claims(data, height, width):
    """Return a JPEG with other dimensions in its header."""
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def claims_j2k(data, height, width):
    """Return a JPEG 2000 picture with other dimensions in its header."""
    place = data.index(b"\xff\x4f\xff\x51") + 8
    return data[:place] + struct.pack(">II", width, height) + data[place + 8 :]


def claims_webp(data, height, width):
    """Return a lossless WebP picture with other dimensions in its header."""
    assert data[12:16] == b"VP8L"
    bits = int.from_bytes(data[21:25], "little") >> 28 << 28 | (height - 1) << 14 | (width - 1)
    return data[:21] + bits.to_bytes(4, "little") + data[25:]


def junk_folder(sound):
    folder = sound.folder / "junk_dicom"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(bytes(128) + b"DICM" + noise(5000))
    return folder, None


def empty_folder(sound):
    (sound.folder / "empty").mkdir()
    return sound.folder / "empty", None


def symlink_loop(sound):
    path = sound.folder / "loop.svs"
    path.symlink_to(path)
    return path, None


def pipe(sound):
    os.mkfifo(sound.folder / "pipe.svs")
    return sound.folder / "pipe.svs", None


def zipped(sound):
    import zipfile

    with zipfile.ZipFile(sound.folder / "zipped.svs", "w") as archive:
        archive.write(sound.flat, "flat.tif")
    return sound.folder / "zipped.svs", None


def named(name, content):
    def make(sound):
        (sound.folder / name).write_bytes(content)
        return sound.folder / name, None

    return make


def loop_of_pages(sound):
    """The last page names itself as the next."""
    content = bytearray(sound.flat.read_bytes())
    (first,) = struct.unpack_from("<I", content, 4)
    (n_tags,) = struct.unpack_from("<H", content, first)
    struct.pack_into("<I", content, first + 2 + 12 * n_tags, first)
    return sound.copy(sound.flat, content)


def loop_of_sub_ifds(sound):
    """The coarser level of an OME-TIFF is the page that names it."""
    with tifffile.TiffFile(sound.ome) as tiff:
        first = tiff.pages[0].offset
    return sound.patched(sound.ome, (330, [first]))


def changed_header(sound, offset, layout, value):
    content = bytearray(sound.flat.read_bytes())
    struct.pack_into(layout, content, offset, value)
    return sound.copy(sound.flat, content)


def first_page(sound):
    return struct.unpack_from("<I", sound.flat.read_bytes(), 4)[0]


def wall(sound):
    """A slide that is what it says: 2^19 x 2^19 px, nearly all of it without data."""
    path = sound.folder / "wall.tif"
    tile = jpeg(2048, 2048, subsampling="420")
    tags = {"compression": 7, "photometric": 6, "subsampling": (2, 2), "metadata": None}
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        data = (tile if index == 7 else b"" for index in range(2**16))
        writer.write(data, shape=(2**19, 2**19, 3), dtype=np.uint8, tile=(2048, 2048), **tags)
    return path, None


HUGE = 2**31
HTML = b"<!doctype html><html><body>404 Not Found</body></html>" * 20
REFUSED = {
    "zero bytes": named("zero.svs", b""),
    "text": named("text.svs", b"patient,slide\n" * 100),
    "HTML": named("page.tif", HTML),
    "PNG": named("png.svs", imagecodecs.png_encode(np.zeros((300, 300, 3), np.uint8))),
    "zip": zipped,
    "random bytes": named("random.ndpi", noise(10_000)),
    "random bytes after a TIFF's first ones": named("random.tif", b"II*\0" + noise(10_000)),
    "random bytes after a BigTIFF's first ones": named("random8.tif", b"II+\0" + noise(10_000)),
    "missing file": lambda sound: (sound.folder / "gone.svs", None),
    "folder without slides": empty_folder,
    "folder with a broken DICOM file": junk_folder,
    "link to itself": symlink_loop,
    "pipe": pipe,
    "device": lambda sound: (Path("/dev/zero"), None),
    "cut in the TIFF's magic": lambda sound: sound.cut(sound.flat, 3),
    "cut behind the magic": lambda sound: sound.cut(sound.flat, 4),
    "cut behind the header": lambda sound: sound.cut(sound.flat, 8),
    "cut in the first page's tags": lambda sound: sound.cut(sound.flat, first_page(sound) + 50),
    "cut in the list of tiles": lambda sound: sound.cut(sound.flat, first_page(sound) + 200),
    "cut OME-TIFF": lambda sound: sound.cut(sound.ome, 700),
    "first page beyond the end": lambda s: changed_header(s, 4, "<I", 2**32 - 8),
    "first page is the header": lambda sound: changed_header(sound, 4, "<I", 0),
    "65,535 tags": lambda sound: changed_header(sound, first_page(sound), "<H", 65_535),
    "2^31 x 2^31 px": lambda s: s.patched(s.flat, (IMAGE_WIDTH, HUGE, 4), (IMAGE_LENGTH, HUGE, 4)),
    "2^31 px wide": lambda s: s.patched(s.flat, (IMAGE_WIDTH, HUGE, 4)),
    "2^31 px OME-TIFF": lambda s: s.patched(s.ome, (IMAGE_WIDTH, HUGE, 4), (IMAGE_LENGTH, HUGE, 4)),
    "no pixels": lambda s: s.patched(s.flat, (IMAGE_WIDTH, 0), (IMAGE_LENGTH, 0)),
    "tiles of 0 px": lambda s: s.patched(s.flat, (322, 0), (323, 0)),
    "tiles of 2^20 px": lambda s: s.patched(s.flat, (322, 2**20, 4), (323, 2**20, 4)),
    "tiles of 2^20 px in an OME-TIFF": lambda s: s.patched(s.ome, (322, 2**20, 4), (323, 2**20, 4)),
    "0 samples": lambda s: s.patched(s.flat, (277, 0)),
    "65,535 samples": lambda s: s.patched(s.flat, (277, 65_535)),
    "unknown compression": lambda s: s.patched(s.flat, (259, 12_345)),
}


# One tile cannot be decoded; all others are those of the sound slide.
ONE_TILE = {
    "zeros": lambda s: s.with_tile(s.flat, lambda data: bytes(len(data))),
    "random bytes": lambda s: s.with_tile(s.flat, lambda data: noise(len(data))),
    "random bytes for its second half": lambda s: s.with_tile(
        s.flat, lambda data: data[: len(data) // 2] + noise(len(data) // 2)
    ),
    "zeros for its second half": lambda s: s.with_tile(s.flat, lambda data: data[: len(data) // 2]),
    "cut short": lambda s: s.with_place(s.flat, count=2000),
    "a count of 3": lambda s: s.with_place(s.flat, count=3),
    "a smaller picture": lambda s: s.with_jpeg(s.flat, jpeg(128, 128)),
    "a larger picture": lambda s: s.with_jpeg(s.flat, jpeg(512, 512)),
    "a grey picture of other size": lambda s: s.with_jpeg(
        s.flat, imagecodecs.jpeg8_encode(np.zeros((64, 64), np.uint8))
    ),
    "a picture of 65,500 x 65,500 px": lambda s: s.with_jpeg(
        s.flat, claims(jpeg(256, 256), 65_500, 65_500)
    ),
    "a picture of 0 px": lambda s: s.with_jpeg(s.flat, claims(jpeg(256, 256), 0, 0)),
    "a PNG": lambda s: s.with_jpeg(s.flat, imagecodecs.png_encode(s.drawn[:256, :256])),
    "random bytes, tables shared": lambda s: s.with_tile(s.aperio, lambda data: noise(len(data))),
    "random bytes in OME-TIFF": lambda s: s.with_tile(s.ome, lambda data: noise(len(data))),
    "random bytes in deflated OME-TIFF": lambda s: s.with_tile(
        s.ome_deflate, lambda data: noise(len(data))
    ),
    "64 MiB deflated to 64 KiB": lambda s: s.with_jpeg(s.ome_deflate, zlib.compress(bytes(2**26))),
    # OpenSlide takes 1.3 s and 0.8 GB to refuse one of 60,000 x 60,000 px.
    "JPEG 2000 of 6,000 x 6,000 px": lambda s: s.with_tile(
        s.j2k, lambda data: claims_j2k(data, 6_000, 6_000)
    ),
    "JPEG 2000 of 60,000 x 60,000 px in OME-TIFF": lambda s: s.with_tile(
        s.ome_j2k, lambda data: claims_j2k(data, 60_000, 60_000)
    ),
    "JPEG 2000 that ends in its header": lambda s: s.with_place(s.ome_j2k, count=14),
    "WebP of 16,383 x 16,383 px": lambda s: s.with_tile(
        s.ome_webp, lambda data: claims_webp(data, 16_383, 16_383)
    ),
    "random bytes in WebP": lambda s: s.with_tile(s.ome_webp, lambda data: noise(len(data))),
    "random bytes in LZW": lambda s: s.with_tile(s.lzw, lambda data: noise(len(data))),
    "random bytes in JPEG 2000": lambda s: s.with_tile(s.j2k, lambda data: noise(len(data))),
    "a count of 2^31": lambda s: s.with_place(s.flat, count=2**31),
    "a count of -1": lambda s: s.with_place(s.flat, count=2**32 - 1),
    "a count of 2^31 in LZW": lambda s: s.with_place(s.lzw, count=2**31),
    "a count of 2^31 in JPEG 2000": lambda s: s.with_place(s.j2k, count=2**31),
    "a count of -1 in OME-TIFF": lambda s: s.with_place(s.ome, count=2**32 - 1),
}
# Refused or read; what is read is right.
EITHER = {
    "an offset beyond the end": lambda s: s.with_place(s.flat, offset=2**32 - 100),
    "an offset beyond the end of a pyramid": lambda s: s.with_place(s.pyramid, offset=2**32 - 100),
    "an offset at the end": lambda s: s.with_place(s.flat, offset=s.flat.stat().st_size),
    "an offset beyond the end in LZW": lambda s: s.with_place(s.lzw, offset=2**32 - 100),
    "an offset beyond the end in OME-TIFF": lambda s: s.with_place(s.ome, offset=2**40),
    **{
        f"cut after {tenth} tenths": lambda s, tenth=tenth: s.cut(
            s.pyramid, s.pyramid.stat().st_size * tenth // 10
        )
        for tenth in range(1, 10)
    },
    **{
        f"{name} cut in half": lambda s, name=name: s.cut(
            getattr(s, name), getattr(s, name).stat().st_size // 2
        )
        for name in ("flat", "aperio", "j2k", "lzw", "ome", "ome_deflate")
    },
    "page that names itself as the next": loop_of_pages,
    "page that is its own coarser level": loop_of_sub_ifds,
    "coarse level before the fine one": lambda s: (s.upside_down, s.flat),
    "random JPEG tables": lambda s: s.patched(s.aperio, (347, noise(300))),
    "no JPEG tables": lambda s: s.patched(s.aperio, (347, b"\xff\xd8\xff\xd9")),
    "broken OME-XML": lambda s: s.copy(s.ome, s.ome.read_bytes().replace(b"<OME ", b"<OMG<", 1)),
    "OME-XML of 2^31 px": lambda s: s.copy(
        s.ome, s.ome.read_bytes().replace(b'SizeX="1300"', b'SizeX="9e99"', 1)
    ),
    "Aperio header of other size": lambda s: s.copy(
        s.aperio, s.aperio.read_bytes().replace(b"1300x900", b"9999x-99", 1)
    ),
    "resolution 0/0": lambda s: s.patched(s.flat, (282, (0, 0)), (283, (0, 0))),
    "too few offsets": lambda s: s.patched(s.flat, (OFFSETS, [1000] * 3)),
    "strips and tiles": lambda s: s.patched(s.flat, (322, 1300), (323, 64)),
    "bits of 0": lambda s: s.patched(s.flat, (258, [0, 0, 0])),
    "photometric 60,000": lambda s: s.patched(s.flat, (262, 60_000)),
}
MAKERS = {
    f"{group}: {name}": make
    for group, makers in (
        ("refused", REFUSED),
        ("one tile", ONE_TILE),
        ("either", EITHER),
        ("odd", {"wall": wall}),
    )
    for name, make in makers.items()
}


@pytest.fixture(scope="module")
def outcomes(spoiler):
    """Make every bad file, have a child read them all, and return what it said of each."""
    made = {name: make(spoiler) for name, make in MAKERS.items()}
    entries = [
        {"name": name, "path": str(path), "sound": str(source) if source else None}
        for name, (path, source) in made.items()
    ]
    found = {}
    while entries:
        found |= read_all(entries, spoiler.folder / "manifest.json")
        entries = [entry for entry in entries if entry["name"] not in found]
    return found


def read_all(entries, manifest):
    """Return what a child said of each file, up to the one at which it died."""
    manifest.write_text(json.dumps(entries))
    command = [sys.executable, str(READER), str(manifest)]
    child = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    *_, last = lines = child.stdout.splitlines()
    said = {one["name"]: one for one in map(json.loads, lines[1::2])}
    if child.returncode:
        said[last.removeprefix("start ")] = {"died": child.returncode, "why": child.stderr[-2000:]}
    return said


REAL = {
    f"{name} cut after {tenths} tenths": (name, tenths)
    for name, tenths in (
        ("CMU-1-Small-Region.svs", 3),
        ("CMU-1-Small-Region.svs", 8),
        ("test3-DAPI-2-387.ndpi", 3),
        ("test3-DAPI-2-387.ndpi", 8),
        ("dicom_cmu-1-small-region", 5),
    )
}


@pytest.fixture(scope="module")
def real_outcomes(real_data, tmp_path_factory):
    """As `outcomes`, of real slides that are cut; of a folder, the file of level 0."""
    folder = tmp_path_factory.mktemp("cut")
    entries = []
    for case, (name, tenths) in REAL.items():
        source = real_data / "slides" / name
        files = sorted(source.iterdir()) if source.is_dir() else [source]
        place = folder / f"{tenths}-{name}"
        if source.is_dir():
            place.mkdir()
        for file in files:
            content = file.read_bytes()
            if file is files[0]:
                content = content[: len(content) * tenths // 10]
            (place / file.name if source.is_dir() else place).write_bytes(content)
        entries.append({"name": f"real: {case}", "path": str(place), "sound": str(source)})
    return read_all(entries, folder / "manifest.json")


def outcome(outcomes, group, name):
    came = outcomes[f"{group}: {name}"]
    assert "died" not in came, f"the process died with {came['died']}: {came['why']}"
    return came


def squares_of_the_tile(tile_px, square_px=128):
    """Return the corners of the squares read that have a part of the damaged file tile."""
    rows, cols = (
        range(place * tile_px // square_px, -(-(place + 1) * tile_px // square_px))
        for place in (TILE_ROW, TILE_COL)
    )
    return {f"{row * square_px},{col * square_px}" for row in rows for col in cols}


def assert_sentence(text):
    assert "\n" not in text.strip()
    assert text.strip().endswith(".")
    assert "Traceback" not in text


@pytest.mark.parametrize("name", REFUSED)
def test_file_that_is_no_slide_is_refused_with_one_sentence(outcomes, name):
    came = outcome(outcomes, "refused", name)
    assert_sentence(came["refused"])
    assert came["info"]["code"] == 2
    assert came["info"]["out"] == ""
    assert came["refused"] in came["info"]["err"].replace("\n", " ")


@pytest.mark.parametrize("name", ONE_TILE)
def test_damaged_tile_is_named_and_the_others_are_right(outcomes, name):
    came = outcome(outcomes, "one tile", name)
    assert came["other"] == []
    assert set(came["damaged"]) == squares_of_the_tile(came["tile_px"])
    for sentence in came["damaged"].values():
        assert_sentence(sentence)
        assert "damaged near y=" in sentence
    assert came["info"]["code"] == 0


@pytest.mark.parametrize("name", [name for name in ONE_TILE if " px" in name])
def test_picture_of_another_size_is_not_decoded(outcomes, name):
    for sentence in outcome(outcomes, "one tile", name)["damaged"].values():
        assert re.search(r"a picture of \d+x\d+ px in a tile of|mismatch|no JPEG", sentence)


@pytest.mark.parametrize("name", EITHER)
def test_broken_slide_is_refused_or_what_is_read_is_right(outcomes, name):
    assert_refused_or_right(outcome(outcomes, "either", name))


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_slide_that_is_cut_is_refused_or_what_is_read_is_right(real_outcomes, name):
    assert_refused_or_right(outcome(real_outcomes, "real", name))


def assert_refused_or_right(came):
    if "refused" in came:
        assert_sentence(came["refused"])
        assert came["info"]["code"] == 2
    else:
        assert came["other"] == []
        assert came["equal"] + len(came["damaged"]) > 0
        assert came["info"]["code"] == 0


def test_slide_as_large_as_a_wall_opens_and_tissue_is_not_looked_for(outcomes):
    came = outcome(outcomes, "odd", "wall")
    assert came["other"]
    assert came["damaged"] == {}
    note = json.loads(came["info"]["out"])["tiles_note"]
    assert_sentence(note)
    assert "would be 262 x 262 mm at 0.5 µm per pixel" in note
