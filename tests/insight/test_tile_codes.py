"""Codes find nearly all of the nearest tiles; without faiss all tiles are compared."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight import tile_codes
from napari_dre_slcl.insight.code_recall import SLIDES_FILE
from napari_dre_slcl.insight.fit_codes import CodeSizes
from napari_dre_slcl.insight.index_part import IndexFacts, IndexSource
from napari_dre_slcl.insight.search import nearest_tiles
from napari_dre_slcl.insight.search_note import how_it_is_searched
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_index import IndexOptions, write_index

MakeSources = Callable[..., list[IndexSource]]

DIM = 8
FACTS = IndexFacts("model", "hash", "dre-slcl", 3, DIM)
SIZES = {f"s{number}": 250 for number in range(8)}
OPTIONS = IndexOptions(
    shard_tiles=600, most_exact=1000, codes=CodeSizes(n_questions=40, numbers_per_byte=1)
)

needs_faiss = pytest.mark.skipif(
    not tile_codes.has_faiss(), reason="the extra 'search' is not installed"
)


def _features(n_tiles: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((20, DIM))
    drawn = centres[rng.integers(0, 20, n_tiles)] + 0.3 * rng.standard_normal((n_tiles, DIM))
    return drawn.astype(np.float32)


@pytest.fixture
def sources(sources_of: MakeSources) -> list[IndexSource]:
    return sources_of(SIZES, features=_features(2000))


@pytest.fixture
def index(sources: list[IndexSource], tmp_path: Path) -> TileIndex:
    write_index(tmp_path, FACTS, sources, OPTIONS)
    return TileIndex.open(tmp_path)


@needs_faiss
def test_nearly_all_of_the_nearest_are_found_with_their_exact_distances(index: TileIndex) -> None:
    found = []
    for row in range(3, 2000, 100):
        own = [int(index.slide_numbers(np.array([row]))[0])]
        coded = nearest_tiles(index, index.features[row], 12, without_slides=own)
        exact = nearest_tiles(index, index.features[row], 12, without_slides=own, is_exact=True)
        found.append(len({hit.number for hit in coded} & {hit.number for hit in exact}) / 12)
        known = {hit.number: hit.distance for hit in exact}
        shared = [hit for hit in coded if hit.number in known]
        assert [hit.distance for hit in shared] == [known[hit.number] for hit in shared]
    facts = index.header.codes
    assert facts is not None
    assert np.mean(found) > 0.9
    assert abs(facts.recall - np.mean(found)) < 0.1
    assert facts.n_questions == 20
    assert f"{facts.recall:.1%} of the 12 nearest" in how_it_is_searched(index.header)


@needs_faiss
def test_left_out_tiles_and_slides_are_never_found_by_codes(index: TileIndex) -> None:
    assert index.codes is not None
    query = index.features[700]
    rows = [700, 701, 1999, 0]
    hits = nearest_tiles(index, query, 60, without_rows=rows, without_slides=[0, 3])
    numbers = {hit.number for hit in hits}
    assert len(hits) == 60
    assert not numbers & {*rows, *range(250), *range(750, 1000)}
    assert nearest_tiles(index, query, 1)[0].number == 700


@needs_faiss
def test_what_codes_cannot_answer_is_compared_in_full(
    index: TileIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = index.features[1]
    others = list(range(1, 8))
    hits = nearest_tiles(index, query, 249, without_rows=[1], without_slides=others)
    assert {hit.number for hit in hits} == set(range(250)) - {1}
    monkeypatch.setattr(tile_codes, "MOST_RANGES", 2)
    few = nearest_tiles(index, query, 5, without_slides=others)
    exact = nearest_tiles(index, query, 5, without_slides=others, is_exact=True)
    assert few == exact


@needs_faiss
def test_a_tile_of_zeros_has_no_code(sources_of: MakeSources, tmp_path: Path) -> None:
    features = _features(2000)
    features[:100] = 0
    write_index(tmp_path, FACTS, sources_of(SIZES, features=features), OPTIONS)
    index = TileIndex.open(tmp_path)
    assert index.codes is not None
    assert len(index.codes) == 1900


@needs_faiss
def test_a_changed_slide_renews_the_codes_of_its_shard_alone(
    index: TileIndex, sources: list[IndexSource], sources_of: MakeSources
) -> None:
    before = index.header.codes
    changed = sources_of({"s3": 250}, features=_features(250, seed=5))
    write_index(index.folder, FACTS, [*sources[:3], *changed, *sources[4:]], OPTIONS)
    renewed = TileIndex.open(index.folder)
    after = renewed.header.codes
    assert before is not None
    assert after is not None
    assert after.name == before.name
    assert len(set(after.files) & set(before.files)) == len(after.files) - 1
    assert len(list((index.folder / "codes" / after.name).glob("*.ivf"))) == len(after.files)
    rows = renewed.slides[3].rows
    assert nearest_tiles(renewed, renewed.features[rows][7], 1)[0].number == rows.start + 7


@needs_faiss
def test_codes_are_fitted_anew_when_the_tiles_have_doubled(
    index: TileIndex, sources: list[IndexSource], sources_of: MakeSources
) -> None:
    more = sources_of({f"t{n}": 250 for n in range(9)}, features=_features(2250, seed=2))
    header = write_index(index.folder, FACTS, [*sources, *more], OPTIONS).header
    assert header.codes is not None
    assert index.header.codes is not None
    assert header.codes.name != index.header.codes.name
    assert header.codes.n_trained == 4250
    assert [path.name for path in (index.folder / "codes").iterdir()] == [header.codes.name]
    few = write_index(index.folder, FACTS, sources[:3], OPTIONS).header
    assert few.codes is None
    assert not list((index.folder / "codes").iterdir())


@needs_faiss
@pytest.mark.parametrize("damage", ["short", "gone", "fitted"])
def test_damaged_codes_are_refused_with_a_sentence_and_mended_by_making_them_again(
    index: TileIndex, sources: list[IndexSource], damage: str
) -> None:
    assert index.header.codes is not None
    folder = index.folder / "codes" / index.header.codes.name
    file = folder / index.header.codes.files[1]
    if damage == "short":
        os.truncate(file, file.stat().st_size // 2)
    elif damage == "gone":
        file.unlink()
    else:
        (folder / tile_codes.FITTED_FILE).write_bytes(b"IwPQ nothing")
    with pytest.raises(SearchError, match="codes"):
        nearest_tiles(TileIndex.open(index.folder), index.features[1])
    assert write_index(index.folder, FACTS, sources, OPTIONS).n_written == 0
    mended = TileIndex.open(index.folder)
    assert mended.codes is not None
    assert len(mended.codes) == 2000
    assert nearest_tiles(mended, index.features[1], 1)[0].number == 1


@needs_faiss
def test_codes_and_notes_that_are_damaged_inside_are_made_again(
    index: TileIndex, sources: list[IndexSource]
) -> None:
    assert index.header.codes is not None
    folder = index.folder / "codes" / index.header.codes.name
    codes, noted = (folder / index.header.codes.files[number] for number in (0, 1))
    codes.write_bytes(b"?" * codes.stat().st_size)
    os.truncate(noted.with_suffix(".npy"), 100)
    write_index(index.folder, FACTS, sources, OPTIONS)
    mended = TileIndex.open(index.folder)
    assert mended.codes is not None
    assert len(mended.codes) == 2000
    assert mended.header.codes is not None
    assert mended.header.codes.recall == index.header.codes.recall
    assert len(list(folder.glob("*.ivf"))) == len(mended.header.codes.files)


@needs_faiss
@pytest.mark.parametrize("text", ["5", "[1, 2]"])
def test_questions_that_are_none_are_made_again(
    index: TileIndex, sources: list[IndexSource], text: str
) -> None:
    assert index.header.codes is not None
    asked = index.folder / "codes" / index.header.codes.name / SLIDES_FILE
    asked.write_text(text)
    (index.folder / "index.json").unlink()
    write_index(index.folder, FACTS, sources, OPTIONS)
    assert asked.read_text().startswith('[\n  "')
    assert TileIndex.open(index.folder).codes is not None


@needs_faiss
def test_codes_that_name_tiles_of_no_shard_are_refused_and_made_again(
    index: TileIndex, sources: list[IndexSource]
) -> None:
    assert index.header.codes is not None
    codes = index.folder / "codes" / index.header.codes.name / index.header.codes.files[0]
    content = bytearray(codes.read_bytes())
    content[len(content) // 2 :] = b"?" * (len(content) - len(content) // 2)
    codes.write_bytes(content)
    with pytest.raises(SearchError, match="codes"):
        nearest_tiles(TileIndex.open(index.folder), index.features[1], 60)
    write_index(index.folder, FACTS, sources, OPTIONS)
    mended = TileIndex.open(index.folder)
    assert nearest_tiles(mended, index.features[1], 1)[0].number == 1


def test_without_faiss_all_tiles_are_compared_and_the_user_is_told(
    sources: list[IndexSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_codes, "find_spec", lambda name: None)
    written = write_index(tmp_path, FACTS, sources, OPTIONS)
    assert written.lacks_faiss
    assert written.header.codes is None
    index = TileIndex.open(tmp_path)
    assert nearest_tiles(index, index.features[4], 1)[0].number == 4


@pytest.mark.parametrize(
    ("n_tiles", "dim", "lists", "n_bytes"),
    [(5_000_001, 384, 2048, 96), (10_000_000, 64, 2048, 16), (10**8, 1024, 8192, 64)],
)
def test_codes_grow_with_the_root_of_the_tiles_and_stay_small(
    n_tiles: int, dim: int, lists: int, n_bytes: int
) -> None:
    sizes = CodeSizes()
    assert (sizes.n_lists(n_tiles), sizes.n_bytes(dim)) == (lists, n_bytes)
    assert sizes.n_fitted(n_tiles, dim) * dim * 4 <= 512 * 2**20
    assert sizes.n_fitted(300, 8) == 300
