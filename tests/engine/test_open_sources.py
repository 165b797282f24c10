"""Slides and feature files of a cohort, near and far, are opened when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from napari_dre_slcl.cohort.cohort import read_cohort
from napari_dre_slcl.cohort.feature_store import FeatureOrigin, write_features
from napari_dre_slcl.config import DreSlclConfig, load_preset, with_overrides
from napari_dre_slcl.engine.feature_memory import FeatureMemory
from napari_dre_slcl.engine.feature_source import FeatureLoader, FeatureSource
from napari_dre_slcl.engine.open_sources import open_sources
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.errors import CohortError
from napari_dre_slcl.slide import SlidePool
from napari_dre_slcl.tiles import TileSource

REPORTER = Reporter(lambda event: None, lambda: False)
ORIGIN = FeatureOrigin("resnet18", "abc", mpp=0.5, tile_px=256)


def _write(path: Path, n_tiles: int) -> Path:
    features = np.arange(n_tiles * 4, dtype=np.float32).reshape(n_tiles, 4)
    coords = np.arange(n_tiles * 2).reshape(n_tiles, 2)
    return write_features(path, features, coords, ORIGIN, size_px=512, slide_mpp=0.25)


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fsspec.AbstractFileSystem]:
    monkeypatch.setenv("DRE_SLCL_CACHE_DIR", str(tmp_path / "cache"))
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()


def _table(path: Path, column: str, urls: list[str]) -> Path:
    lines = [f"{column},patient_id,subtype"]
    lines += [f"{url},P{number},{'ab'[number % 2]}" for number, url in enumerate(urls)]
    path.write_text("\n".join(lines))
    return path


def test_a_table_of_remote_feature_files(far, tmp_path: Path) -> None:
    urls = []
    for n in (3, 4):
        urls.append(f"memory://{tmp_path.name}/{n}.h5")
        far.pipe(f"/{tmp_path.name}/{n}.h5", _write(tmp_path / f"{n}.h5", n).read_bytes())
    cohort = read_cohort(_table(tmp_path / "cohort.csv", "features", urls))
    assert [row.slide_id for row in cohort.rows] == ["3", "4"]
    sources = open_sources(cohort, DreSlclConfig(), REPORTER)
    with FeatureLoader([one for one in sources if isinstance(one, FeatureSource)]) as loader:
        read = loader.load([(1, np.array([3])), (0, np.array([0]))])
    np.testing.assert_array_equal(read, [[12, 13, 14, 15], [0, 1, 2, 3]])


def test_a_signed_url_names_its_file(tmp_path: Path) -> None:
    urls = ["https://host/x/a.b.svs?sig=se/cret", (tmp_path / "c.svs").as_uri()]
    (tmp_path / "c.svs").touch()
    rows = read_cohort(_table(tmp_path / "cohort.csv", "slide", urls)).rows
    assert [row.slide_id for row in rows] == ["a.b", "c"]
    assert rows[1].path == tmp_path / "c.svs"


def test_a_remote_folder_of_feature_files(far, tmp_path: Path) -> None:
    for n in (3, 4):
        far.pipe(f"/{tmp_path.name}/{n}.h5", _write(tmp_path / f"{n}.h5", n).read_bytes())
    folder = Path(f"memory://{tmp_path.name}")
    config = with_overrides(DreSlclConfig(), {"features.folder": str(folder)})
    table = _table(tmp_path / "cohort.csv", "slide_id", ["3", "4"])
    cohort = read_cohort(table, needs_slides=False)
    sources = open_sources(cohort, config, REPORTER)
    assert [one.file.n_tiles for one in sources if isinstance(one, FeatureSource)] == [3, 4]
    cohort = read_cohort(_table(table, "slide_id", ["3", "9"]), needs_slides=False)
    with pytest.raises(CohortError, match=r"no feature file for 1 of 2 slides.*'9\.h5'"):
        open_sources(cohort, config, REPORTER)


def test_remote_slides_have_the_tiles_of_local_ones(
    far, tmp_path: Path, colour_cohort: Path
) -> None:
    near = read_cohort(colour_cohort)
    config = load_preset("cpu-small")
    urls = []
    for row in near.rows[:2]:
        assert row.path is not None
        urls.append(f"memory://{tmp_path.name}/{row.path.name}")
        far.pipe(f"/{tmp_path.name}/{row.path.name}", row.path.read_bytes())
    distant = read_cohort(_table(tmp_path / "cohort.csv", "slide", urls))
    here = [one for one in open_sources(near, config, REPORTER)[:2] if isinstance(one, TileSource)]
    there = [one for one in open_sources(distant, config, REPORTER) if isinstance(one, TileSource)]
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.grid.yx, other.grid.yx)
        corners = one.grid.yx[:2]
        pixels = one.slide.read_tiles(corners, one.grid.size_px)
        np.testing.assert_array_equal(other.slide.read_tiles(corners, one.grid.size_px), pixels)


def test_few_slides_of_a_cohort_are_open_at_once(
    colour_cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = SlidePool(limit=3)
    monkeypatch.setattr("napari_dre_slcl.engine.open_sources.SlidePool", lambda: pool)
    sources = open_sources(read_cohort(colour_cohort), load_preset("cpu-small"), REPORTER)
    slides = [one.slide for one in sources if isinstance(one, TileSource)]
    assert (len(slides), len(pool)) == (12, 3)
    assert {slide.read_region(0, 0, 4, 4).shape for slide in slides} == {(4, 4, 3)}
    for slide in slides:
        slide.close()
    assert len(pool) == 0


@pytest.mark.parametrize("mib", [0, 1])
def test_walking_through_a_file_without_room_reads_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mib: int
) -> None:
    from napari_dre_slcl.cohort import feature_store

    sources = [FeatureSource.open(_write(tmp_path / f"{n}.h5", n)) for n in (40, 41)]
    opened: list[str] = []
    really = feature_store.h5py.File

    def watch(path: Path, *rest: object, **more: object) -> object:
        opened.append(Path(path).name)
        return really(path, *rest, **more)

    monkeypatch.setattr(feature_store.h5py, "File", watch)
    loader = FeatureLoader(sources, memory=FeatureMemory(mib))
    wanted = np.arange(160, dtype=np.float32).reshape(40, 4)
    for start in range(0, 40, 8):
        tiles = np.arange(start, start + 8)
        np.testing.assert_array_equal(loader.load([(0, tiles)]), wanted[tiles])
    assert opened == ["40.h5"] * (1 if mib else 2)
    loader.load([(1, np.arange(3))])
    loader.load([(0, np.arange(3))])
    assert len(opened) == (2 if mib else 4)
