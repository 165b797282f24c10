"""What is nearest is found exactly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.exact_search import near_rows
from napari_dre_slcl.insight.hits import LeftOut
from napari_dre_slcl.insight.search import (
    attention_percentile,
    codeword_shares,
    nearest_slides,
    nearest_tiles,
    nearest_to_codeword,
)
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_index import IndexOptions

MakeIndex = Callable[..., TileIndex]


@pytest.mark.parametrize("block", [1, 7, 64, 100_000])
def test_rows_near_a_tile_hold_the_nearest_whatever_the_blocks(
    index_of: MakeIndex, block: int
) -> None:
    index = index_of({"a": 90, "b": 60, "c": 50}, options=IndexOptions(shard_tiles=120))
    query = index.features[17]
    left_out = LeftOut(np.array([3, 17, 150]), (index.slides[1].rows,))
    products = np.asarray(index.features) @ query
    products[[3, 17, 150]] = -2
    products[90:150] = -2
    rows = near_rows(index.features, query, 5, left_out, block)
    assert set(np.argsort(-products)[:5].tolist()) <= set(rows.tolist())
    assert len(rows) < 12
    assert not set(rows.tolist()) & {3, 17, *range(90, 151)}


@pytest.mark.parametrize("shard_tiles", [7, 100, 100_000])
def test_nearest_tiles_are_those_of_a_full_search_whatever_the_shards(
    index_of: MakeIndex, shard_tiles: int
) -> None:
    options = IndexOptions(shard_tiles=shard_tiles)
    index = index_of({"a": 90, "b": 60, "c": 50}, options=options)
    query = np.random.default_rng(5).standard_normal(6)
    unit = query / np.linalg.norm(query)
    distances = np.linalg.norm(np.asarray(index.features, float) - unit, axis=1)
    expected = np.argsort(distances)[:12]
    hits = nearest_tiles(index, 7 * query, 12)
    assert [hit.number for hit in hits] == expected.tolist()
    np.testing.assert_allclose([hit.distance for hit in hits], distances[expected], atol=1e-9)


def test_twins_are_ordered_by_their_row_and_have_no_distance(index_of: MakeIndex) -> None:
    features = np.tile(np.array([[1, 2, 3]], np.float32), (30, 1))
    hits = nearest_tiles(index_of({"a": 30}, dim=3, features=features), features[0], 4)
    assert [hit.number for hit in hits] == [0, 1, 2, 3]
    assert max(hit.distance for hit in hits) < 1e-6


def test_the_nearest_of_many_near_twins_is_found_though_float32_products_are_equal(
    index_of: MakeIndex,
) -> None:
    rng = np.random.default_rng(0)
    blank = rng.standard_normal(64)
    blank /= np.linalg.norm(blank)
    features = (blank + 1e-4 * rng.standard_normal((3000, 64)) / 8).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    index = index_of({"a": 3000}, dim=64, features=features)
    query = features[1234].astype(float)
    query /= np.linalg.norm(query)
    distances = np.linalg.norm(np.asarray(index.features, float) - query, axis=1)

    hits = nearest_tiles(index, features[1234], 12)

    assert [hit.number for hit in hits] == np.argsort(distances, kind="stable")[:12].tolist()
    assert hits[0].number == 1234


def test_a_tile_of_zeros_is_unrelated_and_never_near(index_of: MakeIndex) -> None:
    features = np.array([[1, 0], [0, 0], [0.6, 0.8], [-1, 0]], np.float32)
    hits = nearest_tiles(index_of({"a": 4}, dim=2, features=features), np.array([1, 0]), 4)
    assert [hit.number for hit in hits] == [0, 2, 1, 3]
    assert hits[2].distance == pytest.approx(2**0.5)


def test_left_out_tiles_and_slides_are_never_found(index_of: MakeIndex) -> None:
    index = index_of({"a": 20, "b": 5})
    hits = nearest_tiles(index, index.features[3], 100, without_rows=[3])
    assert {hit.number for hit in hits} == set(range(25)) - {3}
    others = nearest_tiles(index, index.features[3], 100, without_slides=[0])
    assert {hit.slide.slide_id for hit in others} == {"b"}
    assert len(others) == 5


@pytest.mark.parametrize("feature", [np.ones(5), np.zeros(6), np.full(6, np.nan)])
def test_a_feature_of_another_kind_is_refused(index_of: MakeIndex, feature: np.ndarray) -> None:
    with pytest.raises(SearchError, match="numbers"):
        nearest_tiles(index_of({"a": 3}), feature)


def test_tiles_nearest_a_codeword_come_from_as_many_slides_as_asked(index_of: MakeIndex) -> None:
    index = index_of({"a": 80, "b": 40, "c": 30}, options=IndexOptions(shard_tiles=100))
    hits = nearest_to_codeword(index, 1, 5)
    rows = np.flatnonzero(np.asarray(index.codeword) == 1)
    expected = rows[np.argsort(index.residual_norm[rows])][:5]
    assert [hit.number for hit in hits] == expected.tolist()
    per_slide = nearest_to_codeword(index, 1, 3, most_per_slide=1)
    assert sorted(hit.slide.slide_id for hit in per_slide) == ["a", "b", "c"]
    assert per_slide[0].number == hits[0].number
    assert nearest_to_codeword(index, 9, 3) == []


def test_similar_slides_leave_out_the_patient_and_the_slide_itself(index_of: MakeIndex) -> None:
    slides = {name: {"patient_id": patient} for name, patient in zip("abcd", "xxyz", strict=True)}
    index = index_of(dict.fromkeys("abcd", 1), slides=slides)
    everything = nearest_slides(index, 3 * index.slide_vectors[0], 4)
    assert everything[0].slide.slide_id == "a"
    assert everything[0].similarity == pytest.approx(1)
    others = nearest_slides(index, index.slide_vectors[0], 4, exclude_patient="x")
    assert {hit.slide.slide_id for hit in others} == {"c", "d"}
    assert len(nearest_slides(index, index.slide_vectors[0], 9, exclude_slide="a")) == 3
    with pytest.raises(SearchError, match="slide vector"):
        nearest_slides(index, np.ones(3))


def test_percentile_counts_the_tiles_of_the_cohort_with_less_attention(
    index_of: MakeIndex,
) -> None:
    index = index_of({"a": 30, "b": 20})
    values = index.attention[[4, 0, 33]]
    expected = [100 * ((np.asarray(index.attention) < v).sum() + 0.5) / 50 for v in values]
    found = attention_percentile(index, np.array([*values, -1, 1e9], np.float32))
    np.testing.assert_allclose(found, [*expected, 0, 100], rtol=1e-6)
    assert found.dtype == np.float32


def test_shares_of_a_class_count_every_slide_alike(index_of: MakeIndex) -> None:
    slides = {
        "a": {"labels": {"subtype": "LUAD"}},
        "b": {"labels": {"subtype": "LUAD"}},
        "c": {"labels": {"subtype": ""}},
        "empty": {"labels": {"subtype": "LUAD"}},
    }
    index = index_of({"a": 40, "b": 10, "c": 8, "empty": 0}, slides=slides)
    shares = codeword_shares(index, "subtype")
    counts = index.codeword_counts
    assert list(shares) == ["LUAD"]
    np.testing.assert_allclose(shares["LUAD"], (counts[0] / 40 + counts[1] / 10) / 2)
    assert codeword_shares(index)["all slides"].sum() == pytest.approx(1)
