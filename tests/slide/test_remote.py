from __future__ import annotations

import builtins
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest
import tifffile

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide import SlidePool, open_slide
from napari_dre_slcl.slide import remote as remote_module
from napari_dre_slcl.slide.associated import read_associated_image
from napari_dre_slcl.slide.fingerprint import slide_fingerprint
from napari_dre_slcl.slide.remote import fetch, is_remote, located, remote_name, shown

APERIO = "Aperio Image Library v12.0.15\r\n300x300 [0,0 300x300] (64x64)|AppMag = 20|MPP = 0.499"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    """An empty store in memory, and an empty cache of 1 MiB."""
    monkeypatch.setenv("DRE_SLCL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DRE_SLCL_CACHE_GIB", str(1 / 1024))
    monkeypatch.delenv("DRE_SLCL_REMOTE_READS", raising=False)
    remote_module._looked_up.cache_clear()
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture
def local(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    path = tmp_path / "a.svs"
    tags = {"photometric": "rgb", "compression": "jpeg", "tile": (64, 64)}
    tifffile.imwrite(path, pixels, description=APERIO, metadata=None, **tags)
    return path


def _cached() -> list[str]:
    folder = Path(os.environ["DRE_SLCL_CACHE_DIR"])
    return sorted(path.name for path in folder.rglob("*.svs"))


@pytest.mark.parametrize(
    ("text", "is_far"),
    [
        ("s3://bucket/a.svs", True),
        ("https://host/a.svs?sig=1", True),
        ("C:/slides/a.svs", False),
        ("slides/a.svs", False),
        ("file:///slides/a.svs", False),
    ],
)
def test_urls_are_told_from_paths_also_as_path(text: str, is_far: bool) -> None:
    assert (is_remote(text), is_remote(Path(text))) == (is_far, is_far)
    assert is_remote(located(Path(text))) == is_far


def test_places_and_names(tmp_path: Path) -> None:
    assert located("file:///data/a%20b.svs") == Path("/data/a b.svs")
    assert located("a.svs", tmp_path) == tmp_path / "a.svs"
    assert located("a.svs", Path("s3://bucket/cohort")) == Path("s3://bucket/cohort/a.svs")
    signed = "https://me:word@host/x/a.svs?key=secret"
    assert (remote_name(signed), shown(Path(signed))) == ("a.svs", "https://host/x/a.svs")


@pytest.mark.parametrize("reads", ["", "ranged"])
def test_a_remote_slide_is_the_local_one(store, local, reads, monkeypatch) -> None:
    monkeypatch.setenv("DRE_SLCL_REMOTE_READS", reads)
    store.pipe("/bucket/a.svs", local.read_bytes())
    with open_slide(local) as here, open_slide("memory://bucket/a.svs") as there:
        assert there.info.path == "memory://bucket/a.svs"
        assert (there.name, there.info.mpp, there.info.mpp_source) == (
            "a.svs", here.info.mpp, here.info.mpp_source,
        )  # fmt: skip
        assert (there.info.shape, there.info.objective_power) == ((300, 300), 20)
        for box in ((0, 0, 300, 300), (250, 30, 90, 70)):
            np.testing.assert_array_equal(there.read_region(*box), here.read_region(*box))
    assert _cached() == ([] if reads else ["a.svs"])
    with pytest.raises(SlideError, match="is closed"):
        there.read_region(0, 0, 8, 8)


def test_what_is_too_large_for_the_cache_is_read_by_ranges_or_refused(
    store, local, monkeypatch
) -> None:
    monkeypatch.setenv("DRE_SLCL_CACHE_GIB", "0.00001")
    store.pipe("/a.svs", local.read_bytes())
    with open_slide("memory://a.svs") as slide:
        assert slide.info.backend == "tiff-jpeg"
        assert "over the network" in slide.info.backend_reason
    store.pipe("/a.ndpi", b"MM no TIFF" * 10_000)
    with pytest.raises(SlideError, match="is larger than the cache"):
        open_slide("memory://a.ndpi")


def test_a_changed_slide_is_fetched_again_and_has_another_fingerprint(store, local) -> None:
    store.pipe("/a.svs", local.read_bytes())
    before = slide_fingerprint("memory://a.svs")
    assert slide_fingerprint(Path("memory://a.svs")) == before
    with fetch("memory://a.svs") as first:
        store.pipe("/a.svs", local.read_bytes() + b"more")
        remote_module._looked_up.cache_clear()
        with fetch("memory://a.svs") as second:
            assert first.path != second.path
            assert second.path.read_bytes().endswith(b"more")
    assert slide_fingerprint("memory://a.svs") != before


def test_a_signed_url_is_known_by_its_name_afterwards(store, local) -> None:
    store.pipe("/signed.svs?sig=1", local.read_bytes())
    with open_slide("memory://signed.svs?sig=1", mpp=0.5) as slide:
        assert (slide.name, slide.info.path) == ("signed.svs", "memory://signed.svs")
        assert slide_fingerprint(slide.info.path) == slide_fingerprint("memory://signed.svs?sig=1")


def test_images_beside_the_pixels_are_read_from_the_copy(store, local) -> None:
    store.pipe("/a.svs", local.read_bytes())
    with pytest.raises(SlideError, match=r"'a\.svs' has no image 'label'"):
        read_associated_image("memory://a.svs", "label")


def test_a_pool_lets_go_of_copies_that_rest(store, local, monkeypatch) -> None:
    size = local.stat().st_size
    monkeypatch.setenv("DRE_SLCL_CACHE_GIB", str(2.5 * size / 2**30))
    for number in range(5):
        store.pipe(f"/{number}.svs", local.read_bytes())
    pool = SlidePool(limit=1)
    slides = [open_slide(f"memory://{number}.svs", pool=pool) for number in range(5)]
    pixels = [slide.read_region(0, 0, 300, 300) for slide in slides]
    assert all(np.array_equal(one, pixels[0]) for one in pixels)
    assert len(_cached()) == 2


def test_a_mirax_slide_comes_with_its_folder(store) -> None:
    for name in ("a.mrxs", "a/Slidedat.ini", "a/Data0001.dat"):
        store.pipe(f"/x/{name}", name.encode())
    with fetch("memory://x/a.mrxs") as copy:
        assert copy.path.name == "a.mrxs"
        assert (copy.path.parent / "a" / "Data0001.dat").read_bytes() == b"a/Data0001.dat"
    with fetch("memory://x/a") as copy:
        assert sorted(path.name for path in copy.path.iterdir()) == ["Data0001.dat", "Slidedat.ini"]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "memory://nowhere/a.svs",
            "'memory://nowhere/a.svs' does not exist, or its server .* check the address",
        ),
        ("gopher://host/a.svs", "'gopher://host/a.svs' cannot be read .*Protocol not known"),
        ("s3://bucket/a.vms", "is an index of other files; copy the slide's folder"),
        ("memory://text.svs", "'text.svs' is not a whole-slide image"),
    ],
)
def test_what_cannot_be_had_is_told(store, url: str, sentence: str) -> None:
    store.pipe("/text.svs", b"no slide")
    with pytest.raises(SlideError, match=sentence):
        open_slide(url)


def test_a_file_that_comes_short_is_refused(store, monkeypatch) -> None:
    store.pipe("/a.svs", b"x" * 100)
    monkeypatch.setattr(
        type(store), "get_file", lambda self, place, target: Path(target).write_bytes(b"x" * 60)
    )
    with pytest.raises(SlideError, match="came with 60 of 100 bytes"):
        fetch("memory://a.svs")


def test_without_fsspec_a_sentence_says_what_to_install(store, monkeypatch) -> None:
    really_import = builtins.__import__

    def refuse(name: str, *rest: object, **more: object) -> object:
        if name == "fsspec":
            raise ImportError(name)
        return really_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SlideError, match=r"pip install 'napari-dre-slcl\[remote\]'"):
        fetch("memory://a.svs")


def test_a_size_of_the_cache_that_is_no_number_is_told(store, monkeypatch) -> None:
    store.pipe("/a.svs", b"x")
    monkeypatch.setenv("DRE_SLCL_CACHE_GIB", "much")
    with pytest.raises(SlideError, match="DRE_SLCL_CACHE_GIB is 'much'; give the size"):
        fetch("memory://a.svs")


class _Refusing(BaseHTTPRequestHandler):
    """Answers with the status that a path begins with."""

    def do_GET(self) -> None:
        self.send_error(int(self.path[1:4]))

    do_HEAD = do_GET

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "reason"),
    [(403, "answers with status 403"), (503, "answers with status 503"), (404, "does not exist")],
)
def test_a_server_that_refuses_is_told_from_a_file_that_is_not_there(
    store: fsspec.AbstractFileSystem, status: int, reason: str
) -> None:
    pytest.importorskip("aiohttp")
    server = HTTPServer(("127.0.0.1", 0), _Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(SlideError, match=reason):
            open_slide(f"http://127.0.0.1:{server.server_port}/{status}/a.svs")
    finally:
        server.shutdown()
        server.server_close()
