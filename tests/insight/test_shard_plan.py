"""Slides stay in their shard; only shards whose slides change are another."""

from __future__ import annotations

from napari_dre_slcl.insight.shard_plan import plan_shards


def test_slides_are_shared_out_in_the_order_of_the_cohort() -> None:
    sizes = {"a": 40, "b": 60, "c": 1, "huge": 900, "none": 0, "d": 30}
    assert plan_shards(sizes, shard_tiles=100) == [("a", "b"), ("c",), ("huge",), ("none", "d")]


def test_a_new_slide_changes_the_last_shard_alone_and_a_full_one_not() -> None:
    before = [("a", "b"), ("c",)]
    sizes = {"new": 30, "a": 50, "b": 50, "c": 50}
    assert plan_shards(sizes, before, 100) == [("a", "b"), ("c", "new")]
    assert plan_shards(sizes | {"c": 90}, before, 100) == [("a", "b"), ("c",), ("new",)]


def test_a_slide_that_went_changes_its_shard_alone_unless_little_is_left() -> None:
    before = [("a", "b"), ("c", "d"), ("e",)]
    sizes = {"a": 50, "b": 50, "c": 80, "d": 20, "e": 70}
    without_d = {name: size for name, size in sizes.items() if name != "d"}
    assert plan_shards(without_d, before, 100) == [("a", "b"), ("c",), ("e",)]
    without_c = {name: size for name, size in sizes.items() if name != "c"}
    assert plan_shards(without_c, before, 100) == [("a", "b"), ("e", "d")]


def test_a_shard_that_has_grown_to_twice_its_size_is_shared_out_anew() -> None:
    before = [("a", "b"), ("c",)]
    plan = plan_shards({"a": 150, "b": 90, "c": 10}, before, 100)
    assert plan == [("c",), ("a",), ("b",)]


def test_every_slide_is_in_one_shard() -> None:
    sizes = {f"s{n}": n * 7 % 50 for n in range(200)}
    before = [tuple(f"s{n}" for n in range(start, start + 9)) for start in range(0, 150, 9)]
    placed = [name for members in plan_shards(sizes, before, 100) for name in members]
    assert sorted(placed) == sorted(sizes)
