"""Maps: the values of a result that can be drawn, with known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Layer

from napari_dre_slcl.layers import available_maps, map_colormap, map_layer, value_text
from napari_dre_slcl.layers.maps import percentiles
from napari_dre_slcl.results import SlideResult


@pytest.fixture
def result() -> SlideResult:
    """Four tiles of a 2x3 grid."""
    return SlideResult(
        slide_id="a",
        slide_path="a.tif",
        slide_shape=(1100, 1600),
        mpp=0.25,
        mpp_source="user",
        tile_size_px=512,
        grid_shape=(2, 3),
        rowcol=np.array([[0, 1], [1, 0], [1, 1], [1, 2]]),
        codeword=np.array([3, 0, 3, 1]),
        attention=np.array([0.4, 0.2, 0.2, 0.2], np.float32),
        residual_norm=np.array([1, 2, 3, 4], np.float32),
        n_codewords=4,
        codeword_attention=np.full(4, 0.25, np.float32),
        slide_vector=np.zeros(2, np.float32),
        predictions=(),
        evidence=np.array([[0.02, 0], [-0.07, 0], [0, 0], [0.01, 0]], np.float32),
        evidence_of=(("subtype", "LUSC"), ("cancer", "cancer")),
        freshness=np.array([0, 5, 5, 10]),
    )


def maps_of(result: SlideResult, **options):
    return {choice.key: choice.make() for choice in available_maps(result, **options)}


def test_maps_and_their_order(result) -> None:
    keys = [choice.key for choice in available_maps(result, lambda values: values * 10)]
    assert keys == [
        "attention",
        "attention-percentile",
        "attention-cohort",
        "evidence:subtype:LUSC",
        "evidence:cancer:cancer",
        "distance",
        "freshness",
    ]
    assert all(choice.title and choice.explanation for choice in available_maps(result))


def test_values_of_each_map(result) -> None:
    maps = maps_of(result, cohort_percentile=lambda values: values * 10)
    np.testing.assert_allclose(maps["attention"].values, [1.6, 0.8, 0.8, 0.8], rtol=1e-6)
    np.testing.assert_allclose(maps["attention-cohort"].values, [16, 8, 8, 8], rtol=1e-6)
    np.testing.assert_allclose(maps["attention-percentile"].values, [87.5, 37.5, 37.5, 37.5])
    np.testing.assert_allclose(maps["evidence:subtype:LUSC"].values, [2, -7, 0, 1], rtol=1e-5)
    np.testing.assert_array_equal(maps["distance"].values, [1, 2, 3, 4])
    np.testing.assert_array_equal(maps["freshness"].values, [0, 5, 5, 10])


def test_evidence_is_clear_at_nothing_and_as_strong_on_both_sides(result) -> None:
    maps = maps_of(result)
    low, high = maps["evidence:subtype:LUSC"].limits
    assert low == -high
    assert high >= 6.8
    flat = maps["evidence:cancer:cancer"]
    assert flat.limits == (-1, 1)
    layer = Layer.create(*map_layer(result, maps["evidence:subtype:LUSC"]))
    colors = layer.colormap.map(np.array([0, 0.5, 1, np.nan], np.float32))
    np.testing.assert_allclose(colors[[1, 3], 3], 0, atol=1e-6)
    np.testing.assert_allclose(colors[[0, 2], 3], 1)
    assert colors[0, 2] > colors[0, 0]
    assert colors[2, 0] > colors[2, 2]


def test_limits_are_never_empty(result) -> None:
    still = np.ones(4, np.float32)
    low, high = maps_of(replace(result, residual_norm=still))["distance"].limits
    assert low < 1 < high


def test_result_without_tiles_or_extras_has_fewer_maps(result) -> None:
    bare = replace(result, evidence=None, evidence_of=(), freshness=None, n_codewords=0)
    assert [choice.key for choice in available_maps(bare)] == ["attention", "attention-percentile"]
    assert available_maps(replace(bare, rowcol=np.empty((0, 2), np.int64))) == ()


@pytest.mark.parametrize("n", [0, 1, 100])
def test_percentiles_keep_the_order_and_have_their_mean_in_the_middle(n: int) -> None:
    values = np.random.default_rng(0).integers(0, 7, n).astype(np.float32)
    ranked = percentiles(values)
    assert ranked.shape == (n,)
    if n:
        assert ranked.mean() == pytest.approx(50)
        order = np.argsort(values, kind="stable")
        assert (np.diff(ranked[order]) >= 0).all()


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("x average", 2.314, "2.31 x average"),
        ("of 100", 87.5, "88 of 100"),
        ("% of the odds", 0.1234, "+0.12%"),
        ("% of the odds", -12.34, "-12.3%"),
        ("steps ago", 1200, "1,200 steps ago"),
        ("", 0.0004, "0.0004"),
        ("", np.nan, ""),
    ],
)
def test_values_are_told_with_their_unit(unit: str, value: float, text: str) -> None:
    assert value_text(unit, value) == text


def test_colours_of_a_kind_are_in_the_form_of_napari() -> None:
    for kind in ("sequential", "diverging"):
        assert map_colormap(kind)["colors"].shape[1] == 4
